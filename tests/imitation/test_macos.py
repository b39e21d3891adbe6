"""Every command on an imitation of macOS."""

from tests.imitation.every_command import EveryCommand
from tests.imitation.running import ON_LINUX

SYSTEM = "macos"
pytestmark = ON_LINUX


class TestEveryCommand(EveryCommand):
    pass
