"""Sources of rows, a file for each kind; `open_source` knows those that are neither feed nor folder by their names."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from connector.sources.source import Rows
    from connector.space import SpaceEntry


def open_source(
    source: str, entry: SpaceEntry, *, query: str | None = None, base: Path | None = None
) -> Rows | None:
    """Open a source that is one of these, or return None.

    | source                                              | rows                                                   |
    |-----------------------------------------------------|--------------------------------------------------------|
    | `postgresql://…`, `sqlite:///shop.db`, with a query | one per row of the query (extra `sql`)                 |
    | `s3://bucket/prefix/` (or gs, az, …)                | one per picture beneath it (extras `s3`, `gcs`, `azure`) |
    | `shards/{000..127}.tar`, also in an object store    | one per sample of the WebDataset                       |
    | a folder that `datasets` saved                      | one per example of its splits                          |

    Nothing is read ahead: a source may be larger than memory.

    Args:
        source: what the user typed.
        entry: the schema, blob and description that pictures and words fill.
        query: the SQL that a database is asked.
        base: the folder that relative picture paths start from, by default the source's own or the working directory.

    Raises:
        SourceUnavailable: it is not there or cannot be read (also half-way, while iterating).
        DataError: it cannot be read as it is named, or the query does not fit.
        MissingExtra: what reads it is not installed.
    """
    # Each kind is imported when it is met, so that a feed of JSON Lines pays for none of them.
    from connector.sources import dataset, objects, sql, tar

    if query is not None or sql.is_database(source):
        return sql.sql_rows(source, query, entry, base)
    if objects.is_object_url(source):
        if tar.is_tar(source):
            return tar.tar_rows(source, entry, base, objects.open_object)
        return objects.object_rows(source, entry, base)
    if tar.is_tar(source):
        return tar.tar_rows(source, entry, base or Path(source).parent, tar.open_file)
    if dataset.is_dataset(Path(source)):
        return dataset.dataset_rows(Path(source), entry, base)
    return None
