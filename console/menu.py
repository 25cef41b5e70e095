"""The pages of the console, in the order of the menu."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from console.pages import data, drift, errors, jobs, models, overview, queue, settings, try_it


@dataclass(frozen=True, slots=True)
class MenuPage:
    """A page: its name in the menu, its address, and what draws it."""

    title: str
    path: str
    icon: str
    show: Callable[[], None]
    is_first: bool = False


PAGES = (
    MenuPage("Overview", "overview", ":material/monitoring:", overview.show, is_first=True),
    MenuPage("Queue", "queue", ":material/grid_view:", queue.show),
    MenuPage("Models", "models", ":material/compare_arrows:", models.show),
    MenuPage("Data", "data", ":material/database:", data.show),
    MenuPage("Errors", "errors", ":material/rule:", errors.show),
    MenuPage("Drift", "drift", ":material/wb_twilight:", drift.show),
    MenuPage("Jobs", "jobs", ":material/work_history:", jobs.show),
    MenuPage("Try it", "try_it", ":material/add_a_photo:", try_it.show),
    MenuPage("Settings", "settings", ":material/settings:", settings.show),
)
