"""What an export has to say besides its file."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Report:
    """Warnings of what will be otherwise, and notes of what was left out on purpose."""

    warnings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def warn(self, text: str) -> None:
        if text not in self.warnings:
            self.warnings.append(text)

    def note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)
