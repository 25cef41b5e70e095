"""The page Try it: photos of one car in, damages and what they mean for its price out."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

import streamlit as st

from console import session
from console.components import photos, words
from console.components.asking import asking, doing
from damageloop_client import ImageAnswer, Prediction, PriceRange, Valuation

_MOST = 16
_ANSWER, _SENT, _VALUED = "try-answer", "try-photos", "try-valuation"


def show() -> None:
    """Draw the page."""
    st.title("Try it")
    st.markdown("Photos of **one** car, 1 to 16. The champion looks at them as it does for pricing.")
    given = st.file_uploader("Photos", type=["jpg", "jpeg", "png", "webp"], accept_multiple_files=True, key="try-files")
    sent = [(file.name, file.getvalue()) for file in given or []]
    if len(sent) > _MOST:
        st.warning(f"{len(sent)} photos are too many: choose {_MOST} at most.")
    if st.button("Look at them", type="primary", key="try-look", disabled=not 1 <= len(sent) <= _MOST):
        _ask(sent)
    answer: Prediction | None = st.session_state.get(_ANSWER)
    if answer is None:
        st.info("Drop photos above. Nothing is put before annotators by trying it here.")
        return
    _outcome(answer)
    _pictures(answer, st.session_state[_SENT])
    _price(answer)


def _ask(sent: Sequence[tuple[str, bytes]]) -> None:
    for name in (_ANSWER, _VALUED):
        st.session_state.pop(name, None)
    with asking("the answer"), st.spinner("The model looks at the photos …"):
        st.session_state[_ANSWER] = session.pricing_client().predict(sent)
        st.session_state[_SENT] = [content for _, content in sent]


def _outcome(answer: Prediction) -> None:
    st.subheader(f"Outcome: {words.outcome(answer.outcome)}")
    chance = answer.none_probability
    damaged = "–" if chance is None else words.share(1.0 - chance, 1)
    first, second, third = st.columns(3)
    first.metric(
        "Probability of damage",
        damaged,
        help="Calibrated on photos that the model was not trained on; a dash where this model has no calibration.",
    )
    second.metric("Damages", len(answer.damages))
    third.metric("Model", f"version {answer.model_version}")


def _pictures(answer: Prediction, contents: Sequence[bytes]) -> None:
    colors: dict[str, str] = {}
    with asking("the colors of the classes"):
        colors = photos.class_colors()
    tiles = [_tile(image, content, colors) for image, content in zip(answer.images, contents, strict=False)]
    photos.grid(tiles, columns=min(3, max(1, len(tiles))))


def _tile(image: ImageAnswer, content: bytes, colors: dict[str, str]) -> photos.Tile:
    if image.error is not None or not image.width or not image.height:
        why = image.error.message if image.error else "It could not be read."
        return photos.Tile(None, image.filename, f"**{image.filename}** {why}")
    marks = [
        photos.Mark(
            (found.box.x_min, found.box.y_min, found.box.x_max, found.box.y_max),
            f"{found.damage_class} {found.confidence:.2f}",
            colors.get(found.damage_class, "#CC79A7"),
        )
        for found in image.detections
    ]
    flags = f" · {', '.join(map(words.plain, image.flags))}" if image.flags else ""
    lines = [f"**{image.filename}**: {words.outcome(image.outcome)}{flags}"]
    lines += [
        f"- {d.damage_class}, {words.plain(d.severity)}, confidence {d.confidence:.2f}, "
        f"{words.share(d.area_share, 1)} of the photo"
        for d in image.detections
    ]
    said = ", ".join(f"a {d.damage_class}" for d in image.detections) or "no boxes"
    small = photos.shrunk(content)
    drawn = photos.boxes_on(small, (image.width, image.height), marks)
    return photos.Tile(drawn, f"{image.filename} with {said}", "\n".join(lines))


def _price(answer: Prediction) -> None:
    st.subheader("What it means for the price")
    with st.form("try-price"):
        base, money = st.columns(2)
        price = base.text_input("Base price", "18500.00", key="try-base")
        currency = money.text_input("Currency", "EUR", max_chars=3, key="try-currency")
        mileage_box, year_box = st.columns(2)
        mileage = mileage_box.number_input("Mileage in km (optional)", 0, 2_000_000, None, key="try-mileage")
        registered = year_box.date_input("First registration (optional)", None, key="try-registered")
        is_asked = st.form_submit_button("Value it", type="primary")
    if is_asked:
        facts = {"mileage_km": mileage, "first_registration": registered.isoformat() if registered else None}
        _value(answer, price, currency, {name: fact for name, fact in facts.items() if fact is not None})
    valued: Valuation | None = st.session_state.get(_VALUED)
    if valued is not None:
        _valued(valued)


def _value(answer: Prediction, price: str, currency: str, facts: dict[str, Any]) -> None:
    st.session_state.pop(_VALUED, None)
    try:
        amount = Decimal(price.strip())
    except InvalidOperation:
        st.warning("Write the base price as a number, such as 18500.00.")
        return
    with doing("The valuation"):
        st.session_state[_VALUED] = session.pricing_client().value(
            [answer.request_id], amount, currency.strip().upper(), facts or None
        )


def _valued(valued: Valuation) -> None:
    low, expected, high = st.columns(3)
    low.metric("At least", f"{valued.adjusted_price.low} {valued.currency}")
    expected.metric("Expected", f"{valued.adjusted_price.expected} {valued.currency}")
    high.metric("At most", f"{valued.adjusted_price.high} {valued.currency}")
    st.markdown(valued.explanation)
    for reason in valued.reasons:
        st.markdown(f"- {reason}")
    rows = [
        {"Damage": d.damage_class, "Severity": d.severity, "Cost": _range(d.cost), "Rule": d.rule}
        for d in valued.deductions
    ]
    if rows:
        st.dataframe(rows, hide_index=True, alt="What each damage costs, with its range and the rule.")


def _range(cost: PriceRange) -> str:
    return f"{cost.expected} ({cost.low} to {cost.high})"
