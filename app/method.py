"""What the Method page is made of: the parts in words and formulas, presets and members as the code has them."""

import inspect
import re
from dataclasses import dataclass
from typing import Any

import pandas as pd
import streamlit as st

from app import widgets
from app.palette import LABELS
from core import doubt
from core.backbones import BACKBONES
from core.denoisers import DENOISERS
from core.records import Label
from core.references import REFERENCES
from core.registry import Registry
from core.settings import PRESET_MEANS, TRAIN_PRESETS, CandidateSettings, ReadBy, TrainSettings, Unset, marked, read_by

_TRAIN, _FIND = TrainSettings(), CandidateSettings()


# --- how it works -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Part:
    """One part of the method: what it does, what was measured about it, how it differs from the paper."""

    title: str
    words: str
    formulas: tuple[str, ...]
    measured: str
    differs: str = ""


SOURCE = (
    "The method is LLMHNI (Song, Chao, Liu, AAAI 2026, [arXiv 2511.07295](https://arxiv.org/abs/2511.07295)); its authors' "
    "code could not be had, so the formulas are the paper's ideas made exact. Figures beside the parts are test Recall@20 "
    "of a prototype: two seeds, variants compared on the test set, so the best of them flatter. *MovieLens* means "
    "MovieLens-100K with all its ratings of 1 and 2 put in as clicks, *Amazon-book* is trained on train alone. The tables "
    "under *What we measured* are of this program."
)

PARTS: dict[str, Part] = {
    "problem": Part(
        "The problem",
        "Some clicks are **noisy**: misclicks, dislikes. Some are **hard**: true but rare tastes. A model finds both "
        "unlikely, so both have a high loss, and whoever drops what has a high loss drops what teaches most.",
        (r"\ell(u,i)=-\log\sigma\big(z_u^\top z_i-z_u^\top z_j\big)\quad\text{is high for both}",),
        "By the final loss, dislikes in MovieLens can hardly be told from likes: AUC .54, where .5 is a coin, and .54 "
        "among the fifth with the highest loss. With 20 % uniformly random clicks it is .86: random noise flatters every "
        "method, so both kinds are reported.",
    ),
    "backbone": Part(
        "Backbone",
        "LightGCN: the vectors of users and items are averaged over a few steps along the graph of clicks, and learned by "
        "BPR: a click should score above an item that was not clicked. NGCF (weights and products in every step) and MF "
        "(no graph) can take its place; every denoiser works with each.",
        (
            r"Z=\tfrac1{L+1}\textstyle\sum_{k=0}^{L}A^kE,\qquad A=D^{-1/2}\begin{pmatrix}0&R\\R^\top&0\end{pmatrix}D^{-1/2}",
            r"L_{rec}=\tfrac1B\textstyle\sum\operatorname{softplus}(z_u^\top z_j-z_u^\top z_i)"
            r"+\tfrac{\lambda}{2B}\big(|e_u|^2+|e_i|^2+|e_j|^2\big)",
        ),
        "Learning rate and initial spread decide more than many a denoiser: a rate of .001 with Xavier's initial vectors "
        "stops on a plateau of popular items, .20 instead of .347 on MovieLens without dislikes.",
    ),
    "negatives": Part(
        "Hard negatives",
        "The item *j* that a click is set against. **semantic**, the paper's rule: of a few drawn from the user's pool of "
        "best-scored items, the one whose text suits the user least, because the others may be missed positives. "
        f"**dynamic**: of {_TRAIN.drawn} drawn uniformly, the best-scored, by the vectors of this very step.",
        (
            r"j_{\mathrm{semantic}}=\operatorname*{arg\,min}_{j\in\text{some of }HN_u}p_u^\top q_j",
            r"j_{\mathrm{dynamic}}=\operatorname*{arg\,max}_{j\in\text{drawn}}z_u^\top z_j",
        ),
        "MovieLens: uniform .319 and .322, dynamic .344 and .332, semantic .300 and .307. The paper's rule does pick fewer "
        "missed positives (9 % against 13 %), but the least likeness by a fixed text teaches that unlike texts are bad.",
        "The preset `default` is dynamic.",
    ),
    "text": Part(
        "Text relevance and objective alignment",
        "Does an item's text suit what else the user chose? Texts are encoded and centred; a small network *f*, the same "
        "for both sides, is taught by the clicks that the texts themselves find believable, so that likeness of text comes "
        "to mean likeness of taste. The pair's own item is always left out of the user's profile, or every click would "
        "look right.",
        (
            r"p_{u\setminus i}=\overline{f}\Big(\overline{\textstyle\sum_{i'\in N(u)}x_{i'}-x_i}\Big),\quad "
            r"q_i=\overline{f}(x_i)",
            r"L=-\log\frac{\exp(p_{u\setminus i}^\top q_i/\tau)}{\sum_m\exp(p_{u\setminus i}^\top q_m/\tau)}",
        ),
        "Aligned texts beat raw ones in every variant of the semantic rule, by 8 to 10 %. On clean, sparse data "
        "(Amazon-book) teaching with all clicks was better than with the believable half: 80 % of held-out pairs ordered "
        "rightly against 75 %.",
        "By default all clicks teach; `paper` takes the half above the median.",
    ),
    "doubt": Part(
        "Doubt and candidates",
        "A judge is slow, so it is asked about doubtful pairs only. A click's doubt is the mean of its ranks by signals that "
        f"cost next to nothing: {'; '.join(doubt.SIGNALS[name] for name in doubt.DEFAULT)}. Candidates are the most "
        f"doubtful of each user's {100 * _FIND.bottom_share:g} % lowest-scored clicks, and {_FIND.top_k} best-scored other "
        "items, under a budget.",
        (r"d(u,i)=\operatorname{rank}\Big(\operatorname{mean}_{s}\,\operatorname{rank}\big(s(u,i)\big)\Big)",),
        "In this program, three seeds: the doubt tells dislikes with an AUC of .67 to .68, the averaged loss with .59 to .60, "
        "the final one with .52 to .53; but the demo's popular misclicks with .62 to .64, where the averaged loss has .74. "
        "The signals were chosen on the same data. In the prototype, dropping the most doubtful fifth unseen gave .325, and "
        ".327 when a judge without any error looked at it first: a judge earns its cost when it sees many clicks and errs on "
        "less than about 30 %.",
    ),
    "judge": Part(
        "The judge's two views",
        "A language model, or another judge, is asked twice whether the item is relevant to the user: **user-centric**, "
        "the profile against the item, and **item-centric**, chosen items against the item. Each answer is High, Mid or "
        "Low with its reasons. A pair is relevant when both are High; when one is missing the pair stays *unjudged*. A "
        "person's answer beats every judge's.",
        (r"\text{relevant}(u,i)\iff r_{user}=\text{High}\;\wedge\;r_{item}=\text{High}",),
        "What a language model adds is not measured here. The judge *simulated* answers from the known truth with planted "
        "errors and shows what a judge of that quality would be worth.",
    ),
    "graph": Part(
        "The refined graph",
        "*G* is the graph of clicks; *G'* is *G* with noisy clicks dropped, or kept with the weight *w* (`noisy_weight`), "
        "and with missed positives added as edges. The model trains on *G* and its final vectors are propagated on *G'*: "
        "the swap takes milliseconds, and hard clicks still teach.",
        (r"E'=E\setminus E_{noisy}\;\cup\;w\,E_{noisy}\;\cup\;E_{missed}", r"Z=\tfrac1{L+1}\textstyle\sum_k (A_{G'})^kE"),
        "MovieLens with all labels right: *G'* only in a contrast .318, which is nothing (no labels: .319); inferred on "
        "*G'* .350, as good as without any noise (.342 to .346). Dropping survives a judge's errors; adding does not: with "
        "a precision of .37, .21 and .09 it gives .323, .319 and .312.",
        "The paper infers on *G*, drops noisy clicks and adds what its judge says. Here *G'* is inferred on, `default` "
        f"keeps noisy clicks with weight {TRAIN_PRESETS['default']['noisy_weight']:g}, and only people's missed positives "
        "are added.",
    ),
    "contrasts": Part(
        "Contrasts of both graphs",
        "The paper's two losses: the vectors of a node on *G* and *G'* should be alike ($L_{de}$), also when both graphs lose "
        f"{100 * _TRAIN.edge_drop:g} % of their edges at random, drawn anew for every epoch ($L_{{hal}}$). Their weight follows "
        "from the density of the clicks unless it is given, as large contrasts drive dense data to popular items.",
        (
            r"L=L_{rec}+\lambda_1\,\mathrm{NCE}(Z_G,Z_{G'})+\lambda_2\,\mathrm{NCE}(Z_{drop(G)},Z_{drop(G')})",
            r"\mathrm{NCE}(Z,Z')=-\operatorname{mean}_n\log\frac{\exp(\cos(z_n,z'_n)/\tau)}{\sum_m\exp(\cos(z_n,z'_m)/\tau)}",
        ),
        "Amazon-book: LightGCN .153, $L_{de}$ .162, $L_{hal}$ .164, but SGL, which drops edges and knows no labels, .160, and "
        "XSimGCL, which only adds noise to vectors, .170. Nearly all of the gain is what any such contrast gives.",
        "`default` has XSimGCL's perturbed pass instead, on sparse data only; `paper` has both losses and no perturbed pass.",
    ),
    "blend": Part(
        "Blend with EASE",
        "An **ensemble**, named as such: the scores of EASE, an item-item model in closed form, fitted on the same refined "
        f"graph, are added to the model's, both standardised over a user's items, with weight {_TRAIN.blend_weight:g}.",
        (
            r"P=(X^\top X+\lambda I)^{-1},\quad B_{ij}=-P_{ij}/P_{jj}\;(i\neq j),\quad B_{jj}=0",
            r"s=\operatorname{std}(s_{model})+w\,\operatorname{std}(s_{EASE}),\qquad s_{EASE}=XB",
        ),
        "EASE alone reaches .169 on Amazon-book and the best NDCG@20 of the prototype (.119), in seconds. Part of what "
        "`default` gains is EASE's, so the tables have rows without the blend, and EASE has one of its own.",
        "The paper has no blend and no such reference.",
    ),
}


def parts(*names: str) -> None:
    for name in names:
        _part(name, PARTS[name])


def _part(name: str, part: Part) -> None:
    with st.container(border=True, key=f"part_{name}"):
        left, right = st.columns([3, 2], gap="medium")
        with left:
            widgets.section(part.title)
            st.markdown(part.words)
            for formula in part.formulas:
                st.latex(formula)
        with right:
            st.markdown(f"**Measured**  \n{part.measured}")
            if part.differs:
                st.markdown(f"**Differs from the paper**  \n{part.differs}")


def outcomes() -> None:
    """What an answer means, by whether the pair was clicked."""
    known = {
        "clicked": (Label.HARD_POSITIVE, Label.NOISY_POSITIVE, Label.CLEAN),
        "not clicked": (Label.MISSED_POSITIVE, Label.HARD_NEGATIVE, None),
    }
    effects = {
        Label.HARD_POSITIVE: "kept, it teaches",
        Label.NOISY_POSITIVE: "dropped or weighed down",
        Label.CLEAN: "kept",
        Label.MISSED_POSITIVE: "never a negative; an edge if trusted",
        Label.HARD_NEGATIVE: "the best of negatives",
    }
    rows = {
        row: [f"{_looks(label)}: {effects[label]}" if label is not None else "nothing is known" for label in labels]
        for row, labels in known.items()
    }
    with st.container(border=True, key="outcomes"):
        widgets.section("What an answer means")
        table = pd.DataFrame.from_dict(rows, orient="index", columns=["relevant", "not relevant", "not examined"])
        st.table(table.rename_axis("pair"))


def _looks(label: Label) -> str:
    look = LABELS[label]
    return f":{look.tone}[**{look.sign} {look.word}**]"


# --- presets and members ----------------------------------------------------------------------------------------------

SHOWN_PRESETS = ("plain", "default", "paper")


def presets() -> None:
    """The settings in which the presets differ, as TRAIN_PRESETS has them."""
    table = preset_table()
    unlike = int((table["default is like paper"] == "no").sum())
    widgets.section("Presets")
    st.markdown("\n".join(f"- **{name}**: {PRESET_MEANS[name]}." for name in SHOWN_PRESETS))
    st.table(table.map(widgets.plain).set_index("setting"))
    st.caption(
        f"default differs from paper in {unlike} settings. A dash: the preset's denoiser does not read it. All other "
        "settings are the same in the three."
    )


def preset_table() -> pd.DataFrame:
    chosen = {name: TrainSettings(**TRAIN_PRESETS[name]) for name in SHOWN_PRESETS}
    fields = TrainSettings.model_fields
    rows = []
    for name in fields:
        values = {preset: getattr(one, name) for preset, one in chosen.items()}
        if len(set(values.values())) > 1:
            shown = {preset: _value(name, chosen[preset]) for preset in chosen}
            same = "yes" if values["default"] == values["paper"] else "no"
            rows.append({"setting": _title(name), **shown, "default is like paper": same})
    return pd.DataFrame(rows)


def _value(name: str, chosen: TrainSettings) -> str:
    value = getattr(chosen, name)
    if name not in read_by(chosen.denoiser):
        return "–"
    if value is None:
        unset = marked(TrainSettings.model_fields[name], Unset)
        return unset.word if unset else "none"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _title(name: str) -> str:
    return TrainSettings.model_fields[name].title or name.replace("_", " ").capitalize()


def members() -> None:
    """Every denoiser, backbone and reference that there is, in the words of its docstring."""
    settings = {name: _own_settings(name) for name in DENOISERS.names()}
    _members(
        "Denoisers",
        "What is done about noise while training. Each changes edges, negatives and loss terms only.",
        DENOISERS,
        settings,
    )
    _members("Backbones", "The recommenders that learn.", BACKBONES)
    _members("References", "In closed form or from a library: what every graph recommender has to stand beside.", REFERENCES)


def _own_settings(denoiser: str) -> str:
    """The settings that it reads and others do not."""
    fields = TrainSettings.model_fields
    return ", ".join(_title(name).lower() for name in read_by(denoiser) if marked(fields[name], ReadBy)) or "none of its own"


def _members(title: str, lead: str, registry: Registry[Any], settings: dict[str, str] | None = None) -> None:
    widgets.section(title, lead)
    rows = []
    for name in registry.names():
        own, *bases = _docstrings(registry[name])
        differs = " ".join(filter(None, map(deviation, [own, *bases])))
        row = {"name": name, "what it is": first_sentence(own), "differs from the paper": differs}
        rows.append(row | ({"settings of its own": settings[name]} if settings else {}))
    table = pd.DataFrame(rows).map(widgets.plain).set_index("name")
    st.table(table.loc[:, table.astype(bool).any()])


def _docstrings(member: Any) -> list[str]:
    """A member's own, then those of the classes that it is made from."""
    kinds = [kind for kind in getattr(member, "__mro__", (member,)) if kind.__module__.startswith("core.")]
    return [inspect.cleandoc(kind.__doc__ or "") for kind in kinds]


def first_sentence(words: str) -> str:
    """Of a docstring, without its code marks; "eq. 4" and "et al., 2019" end no sentence."""
    text = " ".join(words.partition("\n\n")[0].split()).replace("`", "")
    return re.split(r"(?<=[.!?])\s+(?=[A-Z])", text)[0]


def deviation(words: str) -> str:
    """What a docstring says after "Differs from the paper:", to the end of the paragraph; "" when it says nothing."""
    told = words.partition("Differs from the paper:")[2].partition("\n\n")[0]
    return " ".join(told.split()).replace("`", "")
