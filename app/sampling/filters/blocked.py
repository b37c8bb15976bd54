"""blocked: a word of a blocklist stands in the text, however it is disguised."""

from collections.abc import Sequence

from app.sampling.filters.blocklist import Blocklist
from app.sampling.filters.disguises import readings
from app.sampling.filters.refusal import Filter, Reason, Refusal


def blocked(blocklists: Sequence[Blocklist]) -> Filter:
    """Refuse words of any of these lists."""

    def check(text: str) -> Refusal | None:
        read = readings(text)
        for blocklist in blocklists:
            if (found := blocklist.find(read)) is not None:
                return Refusal(Reason.BLOCKED, f"It says “{found}”, which is on a blocklist.")
        return None

    return check
