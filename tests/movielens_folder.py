"""The original MovieLens 100K folder, written anew from the shared Parquet files (which may not be passed on with this code)."""

from pathlib import Path

import pandas as pd

from core.datasets.formats import GENRES


def write_movielens(shared_data: Path, folder: Path) -> Path:
    """u.data, u.item and u.user in their original formats and encoding, without zip codes, dates and addresses of films."""
    folder.mkdir(parents=True, exist_ok=True)
    source = shared_data / "ml-100k"
    rows = pd.read_parquet(source / "interactions.parquet")
    items = pd.read_parquet(source / "items.parquet")
    users = pd.read_parquet(source / "users.parquet")
    data = rows.assign(user_id=rows.user_id + 1, item_id=rows.item_id + 1)[["user_id", "item_id", "rating", "timestamp"]]
    data.to_csv(folder / "u.data", sep="\t", header=False, index=False, lineterminator="\n")
    lines = []
    for row in items.itertuples():
        flags = ["1" if genre in row.genres.split("|") else "0" for genre in GENRES]
        title = row.title if pd.isna(row.release_year) else f"{row.title} ({row.release_year})"
        lines.append("|".join([str(row.movielens_id), title, "", "", "", *flags]))
    (folder / "u.item").write_bytes(("\n".join(lines) + "\n").encode("latin-1"))
    people = [f"{row.movielens_id}|{row.age}|{row.gender}|{row.occupation}|00000" for row in users.itertuples()]
    (folder / "u.user").write_bytes(("\n".join(people) + "\n").encode("latin-1"))
    return folder
