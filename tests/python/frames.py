"""Run by the Python of an environment that has pandas: whatever it puts into a frame, as rows."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd

import runner
from runner.api.rows import Form, take_rows
from runner.spec.columns import columns_in

COLUMNS = {
    "n": "integer", "f": "integer", "i": "integer", "x": "number", "dec": "number",
    "paid": "boolean", "ok": "boolean", "day": "date", "at": "datetime",
}  # fmt: skip


def frame() -> Any:
    return pd.DataFrame(
        {
            "toloker_id": pd.Series(["0001", "0002"], dtype="string"),
            "name": pd.Series(["Ann", None], dtype="string"),
            "grade": pd.Categorical(["a", None]),
            "n": pd.Series([1, None], dtype="Int64"),
            "f": [3.0, np.nan],
            "i": np.array([1, 2], dtype="int32"),
            "x": [12.5, 0.1],
            "dec": [Decimal("10.50"), Decimal("NaN")],
            "paid": pd.Series([True, None], dtype="boolean"),
            "ok": [np.bool_(True), np.bool_(False)],
            "day": [pd.Timestamp("2026-05-01"), pd.NaT],
            "at": [pd.Timestamp("2026-05-01T10:00", tz="UTC"), pd.NaT],
        }
    )


def taken(rows: Any) -> tuple[str, ...]:
    form = Form(columns=columns_in(COLUMNS), ids=frozenset({"toloker_id"}), as_text=False)
    return take_rows(rows, form).lines


def refused(column: str, value: Any) -> str:
    try:
        taken(pd.DataFrame({column: [value]}).to_dict("records"))
    except runner.MessagesError as error:
        return str(error.problems[0])
    return "taken"


ODD = [
    ("x", 0.1 + 0.2), ("x", np.float32(0.1)), ("at", pd.Timestamp("2026-05-01")),
    ("name", pd.Timedelta(1)), ("toloker_id", np.int64(1)), ("extra", 3.0),
]  # fmt: skip
if __name__ == "__main__":
    # The second line is of single cells, which stay NumPy's own.
    own = [{name: frame()[name].array[0] for name in frame().columns}]
    own[0] |= {"l": np.array([1, 2]), "s": frame()["toloker_id"]}
    own[0] |= {"day": np.datetime64("2026-05-01T00:00:00.000000000")}
    print(*taken(frame().to_dict("records")), *taken(own), sep="\n")
    print(json.dumps([refused(column, value) for column, value in ODD]))
