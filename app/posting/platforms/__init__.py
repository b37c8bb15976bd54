"""Where posts go: one Platform a kind of account, found in one table."""

from app.posting.models import AccountKind
from app.posting.platforms.platform import Platform
from app.posting.platforms.timeline import Timeline

PLATFORMS: dict[AccountKind, Platform] = {AccountKind.TIMELINE: Timeline()}
