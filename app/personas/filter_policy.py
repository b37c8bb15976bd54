"""FilterPolicy: what a persona lets pass. Stored with it, read by the filters of sampling (docs/filters.md)."""

from typing import Annotated, Final

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from app.personas.languages import primary
from app.personas.word_lists import LANGUAGES

MOST_WORDS: Final = 1000
MOST_NAMES: Final = 1000


def _visible(word: str) -> str:
    if not any(character.isprintable() and not character.isspace() for character in word):
        raise ValueError("nothing of it can be seen")
    if any(not character.isprintable() and not character.isspace() for character in word):
        raise ValueError("contains characters that cannot be seen")
    return " ".join(word.split())


def _name(name: object) -> object:
    return name.strip().lower().removeprefix("@") if isinstance(name, str) else name


def _listed(language: str) -> str:
    code = primary(language)
    if code not in LANGUAGES:
        raise ValueError(f"there is no list of words for it; there is one for {', '.join(sorted(LANGUAGES))}")
    return code


CopiedWords = Annotated[
    int, Field(ge=2, le=1000, description="A sentence with so many words in a row out of one post is refused.")
]
CopiedShare = Annotated[
    float,
    Field(gt=0, le=1, description="Refused when a larger share of its words than this stands in a row in one post."),
]
AllowRepeats = Annotated[bool, Field(description="Say again what is a post of the corpus or was posted lately.")]
Balanced = Annotated[bool, Field(description="Refuse brackets and quotation marks without a partner.")]
Mentioned = Annotated[
    str,
    BeforeValidator(_name),
    Field(max_length=200, pattern=r"^(\*|[a-z0-9_.+-]+(@[a-z0-9.-]+)?)$", examples=["friend", "friend@example.social"]),
]
AllowMentions = Annotated[
    list[Mentioned],
    Field(max_length=MOST_NAMES, description="Names and addresses that it may mention; `*`: anybody's."),
]
BlockedWord = Annotated[str, Field(max_length=100, examples=["some word"]), AfterValidator(_visible)]
BlockedWords = Annotated[
    list[BlockedWord], Field(max_length=MOST_WORDS, description="Words and phrases that it never says.")
]
BlocklistLanguages = Annotated[
    list[Annotated[str, AfterValidator(_listed)]] | None,
    Field(max_length=len(LANGUAGES), description="Whose lists of words apply. null: the persona's own language."),
]


class FilterPolicy(BaseModel):
    """What a persona lets pass; each field has a default that is right for most."""

    model_config = ConfigDict(frozen=True)

    copied_words_limit: CopiedWords = 8
    copied_share_limit: CopiedShare = 0.8
    allow_repeats: AllowRepeats = False
    balanced: Balanced = True
    allow_mentions: AllowMentions = []
    blocked_words: BlockedWords = []
    blocklist_languages: BlocklistLanguages = None


class FilterChanges(BaseModel):
    """What changes of the policy. A field that is left out stays; null brings its default back."""

    model_config = ConfigDict(extra="forbid")

    copied_words_limit: CopiedWords | None = None
    copied_share_limit: CopiedShare | None = None
    allow_repeats: AllowRepeats | None = None
    balanced: Balanced | None = None
    allow_mentions: AllowMentions | None = None
    blocked_words: BlockedWords | None = None
    blocklist_languages: BlocklistLanguages = None
