"""What `ufm` raises: one family, and every message says what to do next."""

from typing import Any


class UfmError(Exception):
    """Anything `ufm` refuses to do; the text says why and what would work."""


class ProblemError(UfmError, ValueError):
    """A field of a problem that cannot be what it was given as: names the field, the value and the fix."""

    def __init__(self, field: str, value: Any, fix: str) -> None:
        self.field, self.value, self.fix = field, value, fix
        shown = repr(value)
        if len(shown) > 80:
            shown = shown[:77] + "..."
        super().__init__(f"{field} = {shown}: {fix}")

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.field, self.value, self.fix)  # so that it travels out of a worker process


class MissingExtraError(UfmError, ImportError):
    """An optional dependency that is not installed: names the package and the extra that brings it."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        self.package, self.extra, self.purpose = package, extra, purpose
        super().__init__(f'{purpose} needs {package}, which is not installed: pip install "ufm[{extra}]".')

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.package, self.extra, self.purpose)


class UncertifiedError(UfmError):
    """The best point that is known is not certified as the optimum; its objective is attained all the same."""

    def __init__(self, value: float, text: str) -> None:
        self.value = value
        super().__init__(text)
