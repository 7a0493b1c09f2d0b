"""Commands import their packages without the garbage collector, and have it back afterwards."""

import gc
import sys

import pytest

from diffmem import startup


@pytest.fixture
def thawed():
    yield
    gc.unfreeze()
    gc.enable()


def test_the_collector_is_off_during_the_import_and_then_leaves_its_objects_alone(tmp_path, monkeypatch, thawed):
    (tmp_path / "package_behind_a_command.py").write_text("import gc\ncollecting = gc.isenabled()\n")
    monkeypatch.syspath_prepend(tmp_path)
    startup.load("package_behind_a_command")
    assert sys.modules.pop("package_behind_a_command").collecting is False
    assert gc.isenabled()
    assert gc.get_freeze_count() > 0


def test_a_failed_import_turns_it_on_again(thawed):
    with pytest.raises(ModuleNotFoundError):
        startup.load("no_such_package")
    assert gc.isenabled()
