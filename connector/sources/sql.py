"""Rows from a database: one query through SQLAlchemy, read through a server-side cursor, its password never shown."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus

from connector.errors import ConnectorError, DataError, MissingExtra, SourceUnavailable
from connector.schema.schema import Definition, definition_of
from connector.sources.feeds import csv_list
from connector.sources.source import Rows

if TYPE_CHECKING:
    from sqlalchemy import URL, Connection, CursorResult
    from sqlalchemy.exc import SQLAlchemyError

    from connector.space import SpaceEntry

ROWS = 64  # fetched at once: a column of picture bytes makes them large
_DATABASES = frozenset({
    "bigquery", "clickhouse", "cockroachdb", "databricks", "duckdb", "mariadb", "mssql", "mysql", "oracle",
    "postgres", "postgresql", "redshift", "snowflake", "sqlite", "trino",
})  # fmt: skip
_SECRET_NAME = re.compile(r"pass|pwd|secret|token|key|odbc_connect", re.IGNORECASE)
_SECRET_IN_TEXT = re.compile(r"((?:pwd|passw\w*|token)\s*[=:]\s*)[^\s;&,]+", re.IGNORECASE)
_SQLITE_WRONG = frozenset({"SQLITE_ERROR", "SQLITE_READONLY"})  # the statement's fault, not the file's


def is_database(source: str) -> bool:
    """Whether `source` is a database's URL, such as `postgresql+psycopg://…`; its dialect's name decides."""
    dialect, _, rest = source.partition("://")
    return bool(rest) and dialect.partition("+")[0].lower() in _DATABASES


def sql_rows(source: str, query: str | None, entry: SpaceEntry, base: Path | None) -> Rows:
    """Ask the query and hand out its rows by column name. Nothing is ever committed.

    NULL is left out where the field may be; text that holds a JSON array is taken as a list where a list is wanted.

    Raises:
        DataError: no URL, no query, a query that the database refuses, or two columns of one name.
        SourceUnavailable: the database cannot be reached, or broke off.
        MissingExtra: SQLAlchemy is not installed.
    """
    if "://" not in source:
        raise DataError(
            f"Source '{source}' is no database URL, and a query was given. Write one such as sqlite:///shop.db, "
            "or leave the query out."
        )
    try:
        from sqlalchemy import exc
    except ImportError as error:
        raise MissingExtra("sql", "Reading a database") from error
    url = _parsed(source)
    if query is None or not query.strip():
        raise DataError(f"{_shown(url)} is a database. Say which rows of it: --query 'SELECT …'.")
    connection = _connected(url)

    def close() -> None:
        connection.close()
        connection.engine.dispose()

    try:
        result = _asked(connection, query)
        columns = _columns(result)
    except exc.SQLAlchemyError as error:
        close()
        raise _translated(error, url) from error
    except DataError:
        close()
        raise
    rows = _rows(result, url, _shaped(columns, definition_of(entry.schema)))
    return Rows(rows, base or _folder(url), close=close)


def _parsed(source: str) -> URL:
    from sqlalchemy import exc, make_url

    try:
        return make_url(source)
    except (exc.ArgumentError, ValueError):
        pass  # raised below, outside: what it says may quote the password
    dialect = re.sub(r"\W.*", "", source)
    raise DataError(
        f"A '{dialect}' database URL could not be understood. Write dialect://user:password@host/database, "
        "with special characters of the password percent-encoded."
    )


def _connected(url: URL) -> Connection:
    from sqlalchemy import create_engine, exc
    from sqlalchemy.pool import NullPool

    if url.get_backend_name() == "sqlite" and _is_missing(url):  # connecting would create it
        raise SourceUnavailable(
            f"Database '{url.database}' was not found. Check the path; sqlite:///shop.db is relative, "
            "sqlite:////srv/shop.db absolute."
        )
    broken: ConnectorError
    try:
        return create_engine(url, poolclass=NullPool).connect()
    except exc.NoSuchModuleError:
        broken = DataError(
            f"{_shown(url)}: SQLAlchemy knows no '{url.drivername}'. Install its dialect, or write it as "
            "postgresql://, mysql://, sqlite:///, …"
        )
    except ImportError as error:
        broken = SourceUnavailable(
            f"{_shown(url)} needs the Python module '{error.name}'. Install the package that has it, or name "
            "another driver, such as postgresql+psycopg://."
        )
    except (exc.SQLAlchemyError, TypeError) as error:  # TypeError: an option that the driver does not know
        broken = SourceUnavailable(
            f"{_shown(url)} cannot be opened: {_scrubbed(error, url)}. Check the address and the credentials, then run it again."
        )
    raise broken  # outside, so that no traceback shows the driver's own words, where the password may be


def _asked(connection: Connection, query: str) -> CursorResult[tuple[object, ...]]:
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("PRAGMA query_only = ON")
        # Text that is no UTF-8 becomes lone surrogates, which the schema refuses for that row alone.
        raw = connection.connection.driver_connection
        if raw is not None:
            raw.text_factory = lambda text: text.decode("utf-8", "surrogateescape")
    # The query goes to the driver as it was written: no `:name` and no `%` in it means a parameter.
    streaming = connection.execution_options(stream_results=True, max_row_buffer=ROWS, no_parameters=True)
    return streaming.exec_driver_sql(query)


def _columns(result: CursorResult[tuple[object, ...]]) -> list[str]:
    if not result.returns_rows:
        raise DataError("The query returns no rows. Write a SELECT; nothing was changed.")
    columns = list(result.keys())
    twice = sorted({name for name in columns if columns.count(name) > 1})
    if twice:
        raise DataError(
            f"The query has two columns named '{twice[0]}'. Give one of them another name with AS."
        )
    return columns


def _rows(
    result: CursorResult[tuple[object, ...]], url: URL, shape: Callable[[Sequence[object]], dict[str, object]]
) -> Iterator[dict[str, object]]:
    from sqlalchemy import exc

    while True:
        try:
            batch = result.fetchmany(ROWS)
        except exc.SQLAlchemyError as error:
            raise _translated(error, url) from error
        if not batch:
            return
        for values in batch:
            yield shape(values)


def _shaped(columns: list[str], definition: Definition) -> Callable[[Sequence[object]], dict[str, object]]:
    omissible = {name for name, field in definition.all.items() if field.optional or field.has_default}
    lists = {name for name, field in definition.fields.items() if field.is_list}
    key = definition.id.name

    def shape(values: Sequence[object]) -> dict[str, object]:
        row: dict[str, object] = {}
        for name, value in zip(columns, values, strict=True):
            if value is None and name in omissible:
                continue
            if name in lists and isinstance(value, str):
                row[name] = csv_list(value)
            elif name == key and isinstance(value, Decimal) and value == value.to_integral_value():
                row[name] = int(value)  # NUMERIC is what some databases call every whole number
            else:
                row[name] = value
        return row

    return shape


def _translated(error: SQLAlchemyError, url: URL) -> ConnectorError:
    from sqlalchemy import exc

    words = _scrubbed(error, url)
    code = getattr(getattr(error, "orig", None), "sqlite_errorname", None)
    if (
        isinstance(error, (exc.ProgrammingError, exc.DataError, exc.NotSupportedError))
        or code in _SQLITE_WRONG
    ):
        return DataError(f"{_shown(url)} refuses the query: {words}. Correct the query.")
    return SourceUnavailable(
        f"{_shown(url)} could not be read: {words}. What was read before it is kept; run it again."
    )


def _shown(url: URL) -> str:
    return f"Database '{url.set(query={}).render_as_string(hide_password=True)}'"


def _scrubbed(error: Exception, url: URL) -> str:
    """The driver's own words (SQLAlchemy adds the statement and a link) without what the URL keeps secret."""
    words = str(getattr(error, "orig", None) or error).strip()
    words = words.partition("\n")[0].rstrip(".")  # PostgreSQL adds lines about its cursor
    values = [value for name, value in url.normalized_query.items() if _SECRET_NAME.search(name)]
    secrets = {str(url.password or ""), *(part for value in values for part in value)}
    for secret in sorted(secrets, key=len, reverse=True):
        for spelling in {secret, quote(secret, safe=""), quote_plus(secret)} - {""}:
            words = words.replace(spelling, "***")
    return _SECRET_IN_TEXT.sub(r"\1***", words)


def _is_missing(url: URL) -> bool:
    name = url.database
    return (
        bool(name)
        and name != ":memory:"
        and not str(name).startswith("file:")
        and not Path(str(name)).exists()
    )


def _folder(url: URL) -> Path:
    """Where relative picture paths start: beside a database that is a file, else in the working directory."""
    if url.get_backend_name() in ("sqlite", "duckdb") and url.database and Path(url.database).is_file():
        return Path(url.database).parent
    return Path.cwd()
