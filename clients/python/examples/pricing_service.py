"""A pricing service around damageloop: photos and an asking price come in, an offer goes out.

DAMAGELOOP_URL=http://localhost:8000 DAMAGELOOP_API_KEY_FILE=predict-key uvicorn pricing_service:app --port 8100
curl -F images=@left.jpg -F images=@right.jpg -F asking_price=18500.00 http://localhost:8100/offers
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

from fastapi import FastAPI, Form, HTTPException, UploadFile
from fastapi.responses import JSONResponse

from damageloop_client import (
    NONE,
    UNUSABLE_IMAGE,
    AsyncDamageloopClient,
    ConnectionFailedError,
    InvalidRequestError,
    Prediction,
    TryLaterError,
    Valuation,
)

CURRENCY = "EUR"


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Keep one client, with its connections, for the life of the service."""
    key = Path(os.environ["DAMAGELOOP_API_KEY_FILE"]).read_text().strip()
    async with AsyncDamageloopClient(os.environ["DAMAGELOOP_URL"], key) as app.state.damageloop:
        yield


app = FastAPI(title="offers", lifespan=lifespan)


@app.post("/offers")
async def offer(images: list[UploadFile], asking_price: Annotated[Decimal, Form(gt=0)]) -> dict[str, Any]:
    """Offer a price for a car, or ask for better photos or a look by a person."""
    client: AsyncDamageloopClient = app.state.damageloop
    photos = [(image.filename or "photo", await image.read()) for image in images]
    # The same photos at the same price are the same request: asking twice, even after a restart, is answered once.
    request = hashlib.sha256(str(asking_price).encode())
    for name, content in photos:
        request.update(hashlib.sha256(name.encode() + b"\0" + content).digest())
    key = request.hexdigest()
    seen = await client.predict(photos, idempotency_key=f"see-{key}")
    if seen.outcome == UNUSABLE_IMAGE:
        raise HTTPException(422, "Every photo is too dark, too blurred or too small: please take them again.")
    worth = await client.value([seen.request_id], asking_price, CURRENCY, idempotency_key=f"value-{key}")
    return answer(seen, worth)


@app.exception_handler(TryLaterError)
@app.exception_handler(ConnectionFailedError)
async def not_now(_request: Any, error: Exception) -> JSONResponse:
    """Pass on that it is busy: the client has tried again already."""
    seconds = getattr(error, "retry_after_s", None) or 5
    return JSONResponse({"detail": "No offer can be made at the moment."}, 503, {"Retry-After": str(int(seconds))})


@app.exception_handler(InvalidRequestError)
async def bad_photos(_request: Any, error: Exception) -> JSONResponse:
    """Tell the seller which file can't be read, and why."""
    files = [
        {"file": image["filename"], "problem": image["error"]["message"]} for image in getattr(error, "images", [])
    ]
    return JSONResponse({"detail": str(error), "files": files}, 422)


def answer(seen: Prediction, worth: Valuation) -> dict[str, Any]:
    """Return the offer: the expected price, or the low one and a look by a person where the model can't tell."""
    is_sure = seen.outcome != "unsure"
    return {
        "damages": "None" if seen.outcome == NONE else [f"{d.severity} {d.damage_class}" for d in seen.damages],
        "offer": str(worth.adjusted_price.expected if is_sure else worth.adjusted_price.low),
        "range": [str(worth.adjusted_price.low), str(worth.adjusted_price.high)],
        "needs_inspection": not is_sure or any(image.error is not None for image in seen.images),
        "why": worth.explanation,
        # Kept with the offer: by it the answer can be shown again, and a wrong one be told (POST /v1/feedback).
        "reference": {"request_id": seen.request_id, "valuation_id": worth.valuation_id, "model": seen.model_version},
    }
