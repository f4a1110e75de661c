"""The user's own class names and templates."""

from __future__ import annotations

import pytest

from reliability.data.prompt_file import read_prompt_file
from reliability.data.registry import open_data
from reliability.errors import DataError


@pytest.fixture
def prompts(tmp_path):
    def write(text):
        (tmp_path / "prompts.toml").write_bytes(text.encode() if isinstance(text, str) else text)
        return tmp_path / "prompts.toml"

    return write


NAMES = 'classes = ["kitten", "puppy", "owlet", "drone", "worker", "moose"]\n'


def test_names_and_templates_take_the_place_of_the_sets_own(webdataset_root, prompts):
    file = prompts(NAMES + 'templates = ["{c}!"]\n')
    data = open_data(f"webdataset:{webdataset_root}", prompts=file)
    assert data.tasks["id"].prompts.texts(5) == ["moose!"]
    assert data.tasks["noise/fog/1"].prompts == data.tasks["id"].prompts
    assert data.tasks["ood/near"].prompts.class_names == ("kitten", "puppy", "owlet", "drone", "moose")
    assert set(data.range_setting(15, 0).captions) <= {f"{name}!" for name in data.tasks["id"].prompts.class_names}


def test_some_names_may_be_changed_alone(webdataset_root, prompts):
    data = open_data(f"webdataset:{webdataset_root}", prompts=prompts('[rename]\nelk = "moose"\n'))
    assert data.tasks["id"].prompts.class_names == ("cat", "dog", "owl", "bee", "ant", "moose")
    assert data.tasks["id"].prompts.templates == ("a photo of a {c}.", "a picture of the {c}.")


def test_pictures_and_their_identity_stay(webdataset_root, prompts):
    own = open_data(f"webdataset:{webdataset_root}", prompts=prompts(NAMES))
    assert own.sources["test"].identity == open_data(f"webdataset:{webdataset_root}").sources["test"].identity
    assert own.range_setting.identity(5, 0) != open_data(f"webdataset:{webdataset_root}").range_setting.identity(5, 0)


def test_the_embedded_scenes_take_them_too(prompts):
    data = open_data("scenes", prompts=prompts('templates = ["{c}"]\n[rename]\n"red circle" = "red disc"\n'))
    assert data.tasks["ood/near"].prompts.texts(0) == ["red disc"]


def test_they_name_the_classes_of_a_set_that_cannot(tmp_path, layouts, prompts):
    layouts.pictures(tmp_path / "set", [f"{i}/{j}.png" for i in range(6) for j in range(4)])
    spec = f"folder:{tmp_path / 'set'}"
    with pytest.raises(DataError, match="say nothing"):
        open_data(spec)
    assert open_data(spec, prompts=prompts(NAMES)).tasks["id"].prompts.class_names[0] == "kitten"


def test_a_name_that_a_published_list_holds_twice_may_stay_or_go(tmp_path, layouts, prompts):
    from reliability.data.published_prompts import imagenet_prompts, imagenet_wnids

    layouts.pictures(tmp_path / "set", [f"{wnid}/0.png" for wnid in imagenet_wnids()], size=1)
    data = open_data(f"folder:{tmp_path / 'set'}", prompts=prompts('[rename]\ntench = "a tench"\n'))
    names = data.tasks["id"].prompts.class_names
    assert names[0] == "a tench"
    assert names[1:] == imagenet_prompts().class_names[1:]
    listed = "\n".join(f'  "class {i}",' for i in range(1000))
    data = open_data(f"folder:{tmp_path / 'set'}", prompts=prompts(f"classes = [\n{listed}\n]\n"))
    assert data.tasks["id"].prompts.class_names == tuple(f"class {i}" for i in range(1000))


MISFITS = {
    "other number of names": ('classes = ["a", "b"]', r"has 6 classes[\s\S]*2 names"),
    "rename of no class": ('[rename]\nfox = "vixen"', r"no class has this name[\s\S]*fox"),
    "rename to a class": ('[rename]\nelk = "cat"', r"share a name[\s\S]*cat"),
    "two renamed alike": ('[rename]\nelk = "x"\nant = "x"', r"share a name[\s\S]*x"),
}


@pytest.mark.parametrize("misfit", MISFITS)
def test_names_that_do_not_fit_the_set_are_an_error(webdataset_root, prompts, misfit):
    text, match = MISFITS[misfit]
    with pytest.raises(DataError, match=match):
        open_data(f"webdataset:{webdataset_root}", prompts=prompts(text))


DEFECTS = {
    "nothing": ("", "says nothing"),
    "unknown key": ('clases = ["a"]', r"unknown key[\s\S]*clases[\s\S]*known: classes, templates, rename"),
    "no TOML": ("classes = [", "not a TOML file in UTF-8"),
    "not text": (b'classes = ["\xff"]', "not a TOML file in UTF-8"),
    "no array": ('classes = "cat"', "not an array"),
    "empty array": ("classes = []", "not an array"),
    "empty name": ('classes = ["cat", " "]', r"entry 2[\s\S]*' '"),
    "a number": ("classes = [1]", "not a text"),
    "duplicate name": ('classes = ["cat", "dog", "cat"]', r"already entry 1[\s\S]*entry 3[\s\S]*'cat'"),
    "duplicate but for spaces": ('classes = ["cat", " cat"]', "duplicate"),
    "template without place": ('templates = ["a photo of a cat."]', r"without \{c\}"),
    "template empty": ('templates = [""]', "empty"),
    "rename no table": ('rename = ["a"]', "not a table"),
    "rename empty": ('[rename]\na = ""', "empty"),
}


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_broken_file_is_an_error_that_names_it(prompts, defect):
    text, match = DEFECTS[defect]
    with pytest.raises(DataError, match=match) as caught:
        read_prompt_file(prompts(text))
    assert "prompts.toml" in caught.value.where


def test_a_file_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(DataError, match=r"nothing\.toml"):
        read_prompt_file(tmp_path / "nothing.toml")
