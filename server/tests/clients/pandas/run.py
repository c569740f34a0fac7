"""pandas over SQLAlchemy: to_sql in all its ways, read_sql, read_sql_table."""

import datetime as dt
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), ".."))
import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
import sqlalchemy as sa  # noqa: E402
from steps import run, same, step  # noqa: E402

FRAME = pd.DataFrame({
    "n": np.arange(300, dtype="int64"),
    "small": np.arange(300, dtype="int16"),
    "x": np.linspace(0, 1, 300),
    "label": [None if n % 7 == 0 else f"label {n}" for n in range(300)],
    "ok": [n % 2 == 0 for n in range(300)],
    "at": pd.date_range("2024-01-01", periods=300, freq="h"),
    "at_zone": pd.date_range("2024-01-01", periods=300, freq="h", tz="UTC"),
    "day": [dt.date(2024, 1, 1) + dt.timedelta(days=n) for n in range(300)],
})


@step
def to_sql_and_back(engine):
    FRAME.to_sql("frame", engine, index=False, if_exists="replace")
    found = pd.read_sql("select * from frame order by n", engine)
    same(list(found.columns), list(FRAME.columns))
    pd.testing.assert_series_equal(found["n"], FRAME["n"])
    pd.testing.assert_series_equal(found["x"], FRAME["x"])
    pd.testing.assert_series_equal(found["ok"], FRAME["ok"])
    same((found["at"] == FRAME["at"]).all(), True)
    same((pd.to_datetime(found["at_zone"], utc=True) == FRAME["at_zone"]).all(), True)
    same(found["label"].isna().sum(), FRAME["label"].isna().sum())
    same(found["day"][5], FRAME["day"][5])


@step
def append_multi_and_replace(engine):
    FRAME.to_sql("frame", engine, index=False, if_exists="append", method="multi", chunksize=100)
    same(pd.read_sql("select count(*) as c from frame", engine)["c"][0], 600)
    FRAME.head(10).to_sql("frame", engine, if_exists="replace", index_label="row", dtype={"label": sa.String(20)})
    same(pd.read_sql_table("frame", engine).shape, (10, 9))
    try:
        FRAME.to_sql("frame", engine, if_exists="fail")
        raise AssertionError("no error")
    except ValueError:
        pass


@step
def read_table_with_index_and_chunks(engine):
    same(list(pd.read_sql_table("frame", engine, index_col="row", columns=["n", "label"]).columns), ["n", "label"])
    same([len(chunk) for chunk in pd.read_sql("select * from frame", engine, chunksize=4)], [4, 4, 2])
    found = pd.read_sql(sa.text("select n from frame where n > :least order by n"), engine, params={"least": 6})
    same(list(found["n"]), [7, 8, 9])


@step
def copy_as_insertion_method(engine):
    import csv
    import io

    def by_copy(table, connection, keys, rows):
        out = io.StringIO()
        csv.writer(out).writerows(rows)
        columns = ", ".join(f'"{key}"' for key in keys)
        with connection.connection.cursor().copy(f"copy {table.name} ({columns}) from stdin with csv") as copy:
            copy.write(out.getvalue())

    FRAME.to_sql("copied", engine, index=False, if_exists="replace", method=by_copy)
    same(pd.read_sql("select count(*) c, sum(n) s from copied", engine).iloc[0].tolist(), [300, 44850])


@step
def aggregates_come_as_numbers(engine):
    found = pd.read_sql("select ok, count(*) as c, avg(x) as mean, max(at) as latest from copied group by ok order by ok", engine)
    same(str(found["c"].dtype), "int64")
    same(str(found["mean"].dtype), "float64")
    same(found["latest"].dtype.kind, "M")


if __name__ == "__main__":
    run(sa.create_engine(sys.argv[1].replace("postgresql://", "postgresql+psycopg://")))
