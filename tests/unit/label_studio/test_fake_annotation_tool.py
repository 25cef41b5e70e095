"""The fake annotation tool keeps the contract of the real one."""

from __future__ import annotations

import pytest

from tests.fakes.annotation_tool import FakeAnnotationTool
from tests.integration.annotation_tool_contract import AnnotationToolContract


class TestFakeAnnotationTool(AnnotationToolContract):
    @pytest.fixture
    def tool(self) -> FakeAnnotationTool:
        return FakeAnnotationTool()

    @pytest.fixture
    def annotator(self, tool: FakeAnnotationTool) -> FakeAnnotationTool:
        return tool
