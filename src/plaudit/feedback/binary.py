"""Binary: thumbs up or down for one option."""

from dataclasses import dataclass

from plaudit.errors import PlauditError
from plaudit.feedback import fields


@dataclass(frozen=True)
class Binary:
    """Whether one option is good. No answer is None, never False."""

    option: str
    """Content hash of the option."""
    good: bool | None
    """True: good; False: bad; None: no answer."""

    def __post_init__(self) -> None:
        """Refuse anything but true, false and none: 0 and 1 may be something else that went astray."""
        fields.text("binary.option", self.option)
        if self.good is not None and not isinstance(self.good, bool):
            raise PlauditError(f"binary.good: {self.good!r} is not true, false or null")
