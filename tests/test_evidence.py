"""What an analysis rests on, in the texts that the judge was shown."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import prompts
from core.errors import BadAnswer
from core.evidence import Ground, Shown, grounds, marks, most_named, shown
from core.prompts import Item

NIGHT = Item("Night Train & Co", "Jazz|Trumpet", "A late session <live>.")
HISTORY = [Item("Kind of Blue", "Jazz", "Modal trumpet."), Item("Roses", "Garden")]


def stored(prompt: prompts.Prompt) -> str:
    return json.dumps(list(prompt.messages))


def found(analysis: str, texts: Shown) -> list[tuple[str, Ground]]:
    return [(analysis[span.start : span.end], span.ground) for span in grounds(analysis, texts)]


def test_what_was_shown_reads_as_it_did_in_the_catalogue() -> None:
    texts = shown(stored(prompts.item_view(HISTORY, NIGHT)))
    assert "Kind of Blue | Jazz | Modal trumpet." in texts.person.split("\n")[0]
    assert "Night Train & Co" in texts.item
    assert "<live>" in texts.item
    assert shown(stored(prompts.user_view("Loves trumpets.", NIGHT))).person == "Loves trumpets."


def test_quotations_are_looked_up_and_shared_words_found() -> None:
    texts = shown(stored(prompts.item_view(HISTORY, NIGHT)))
    said = 'Like "Kind of Blue" it is trumpet jazz, unlike "Giant Steps"; the category of *Night Train* fits.'
    assert found(said, texts) == [
        ("Kind of Blue", Ground.PERSON),
        ("trumpet", Ground.BOTH),
        ("jazz", Ground.BOTH),
        ("Giant Steps", Ground.NOWHERE),
        ("Night Train", Ground.ITEM),
    ]


def test_the_texts_show_what_the_analysis_names() -> None:
    texts = shown(stored(prompts.item_view(HISTORY, NIGHT)))
    said = 'Jazz with a trumpet, as in "Kind of Blue" and "Giant Steps".'
    spans = marks(texts.person, said, grounds(said, texts))
    assert [texts.person[span.start : span.end] for span in spans] == ["Kind of Blue", "Jazz", "trumpet"]


def test_the_title_that_reasons_name_most() -> None:
    titles = ["Blue Train", "Night Train", "Kind of Blue"]
    assert most_named(['Like "night train" and Night Train; once Kind of Blue.'], titles) == 1
    assert most_named(["Both are about a night."], titles) == 1
    assert most_named(["", "nothing of it"], titles) is None
    assert most_named(["Blue Train"], []) is None


@pytest.mark.parametrize("broken", ["", "[]", "{", '[{"role": "user", "content": "no tags"}]', "[1]"])
def test_messages_without_texts_say_so(broken: str) -> None:
    with pytest.raises(BadAnswer, match="messages"):
        shown(broken)


WORDS = st.lists(st.sampled_from(['"', "'", "*", "“", "”", "jazz", "rose", "\n", " ", "x", "Giant", "é"]), max_size=30)


@given(WORDS.map("".join), WORDS.map(" ".join), WORDS.map(" ".join))
def test_spans_are_in_order_apart_and_inside(analysis: str, person: str, item: str) -> None:
    spans = grounds(analysis, Shown(person, item))
    ends = [0, *(span.end for span in spans)]
    assert all(end <= span.start < span.end <= len(analysis) for end, span in zip(ends, spans, strict=False))
    for text in (person, item):
        places = [(span.start, span.end) for span in marks(text, analysis, spans)]
        assert places == sorted(places)
        assert all(a[1] <= b[0] for a, b in zip(places, places[1:], strict=False))
