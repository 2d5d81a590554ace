"""The ledger says by how much each entry changes what; limits, prices, teams and alerts are tables.

What was reserved and settled before is carried over: into the windows it was posted to, which the old
balances name.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import islice
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql.sqltypes import UTCDateTime

from core.domain.money import BUILT_IN_PRICES

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_APPEND_ONLY = ("ledger", "limit_change", "approval", "price")
_BATCH = 1000


def upgrade() -> None:
    """Make the tables, carry the old ledger and stored limits over, forbid changes to what is on record."""
    for index in ("ix_ledger_at", "ix_ledger_attempt_id", "ix_ledger_job_id"):
        op.drop_index(index, "ledger")
    op.rename_table("ledger", "old_ledger")
    op.rename_table("balance", "old_balance")
    with op.batch_alter_table("submission") as submission:
        submission.add_column(sa.Column("team", sa.String(), nullable=False, server_default=""))
    _make_ledger()
    _make_the_rest()
    _carry_entries_over()
    _carry_limits_over()
    _seed_prices()
    _sum_up()
    op.drop_table("old_ledger")
    op.drop_table("old_balance")
    for table in _APPEND_ONLY:
        _forbid_changes(table)


def _make_ledger() -> None:
    op.create_table(
        "ledger",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("book", sa.String(), nullable=False),
        sa.Column("mode", sa.String(), nullable=False),
        sa.Column("service", sa.String(), nullable=False),
        sa.Column("engine", sa.String(), nullable=False),
        sa.Column("tier", sa.String(), nullable=False),
        sa.Column("team", sa.String(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("job_id", sa.String(), nullable=False),
        sa.Column("attempt_id", sa.String(), nullable=False),
        sa.Column("outcome", sa.String(), nullable=False),
        sa.Column("is_repeat", sa.Boolean(), nullable=False),
        sa.Column("pages", sa.Integer(), nullable=False),
        sa.Column("reserved_credits", sa.BigInteger(), nullable=False),
        sa.Column("reserved_micros", sa.BigInteger(), nullable=False),
        sa.Column("reserved_submits", sa.Integer(), nullable=False),
        sa.Column("settled_credits", sa.BigInteger(), nullable=False),
        sa.Column("settled_micros", sa.BigInteger(), nullable=False),
        sa.Column("settled_submits", sa.Integer(), nullable=False),
        sa.Column("saved_micros", sa.BigInteger(), nullable=False),
        sa.Column("hour", sa.String(), nullable=False),
        sa.Column("day", sa.String(), nullable=False),
        sa.Column("page_price_id", sa.Integer(), nullable=True),
        sa.Column("credit_price_id", sa.Integer(), nullable=True),
        sa.Column("approval_id", sa.Integer(), nullable=True),
        sa.Column("cause", sa.String(), nullable=False),
        sa.Column("reserved_at", UTCDateTime(), nullable=False),
        sa.Column("at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    _once("ix_ledger_closed_once", "kind IN ('settle', 'release')")
    op.create_index("ix_ledger_at", "ledger", ["at"], unique=False)
    op.create_index("ix_ledger_job_id", "ledger", ["job_id"], unique=False)
    op.create_index("ix_ledger_attempt_id", "ledger", ["attempt_id"], unique=False)
    _once("ix_ledger_reserved_once", "kind = 'reserve'")
    op.create_table(
        "open_reservation",
        sa.Column("attempt_id", sa.String(), nullable=False),
        sa.Column("entry_id", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("attempt_id"),
    )
    op.create_table(
        "balance",
        sa.Column("book", sa.String(), nullable=False),
        sa.Column("scope", sa.String(), nullable=False),
        sa.Column("window", sa.String(), nullable=False),
        sa.Column("reserved_micros", sa.BigInteger(), nullable=False),
        sa.Column("settled_micros", sa.BigInteger(), nullable=False),
        sa.Column("reserved_submits", sa.BigInteger(), nullable=False),
        sa.Column("settled_submits", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("book", "scope", "window"),
    )
    op.create_table(
        "rollup",
        sa.Column("book", sa.String(), nullable=False),
        sa.Column("window", sa.String(), nullable=False),
        sa.Column("team", sa.String(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("service", sa.String(), nullable=False),
        sa.Column("engine", sa.String(), nullable=False),
        sa.Column("tier", sa.String(), nullable=False),
        sa.Column("outcome", sa.String(), nullable=False),
        sa.Column("reserved_micros", sa.BigInteger(), nullable=False),
        sa.Column("settled_micros", sa.BigInteger(), nullable=False),
        sa.Column("settled_credits", sa.BigInteger(), nullable=False),
        sa.Column("estimated_micros", sa.BigInteger(), nullable=False),
        sa.Column("saved_micros", sa.BigInteger(), nullable=False),
        sa.Column("pages", sa.BigInteger(), nullable=False),
        sa.Column("submits", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(
            "book", "window", "team", "actor", "service", "engine", "tier", "outcome"
        ),
    )


def _once(name: str, where: str) -> None:
    condition = sa.text(where)
    op.create_index(
        name,
        "ledger",
        ["attempt_id"],
        unique=True,
        sqlite_where=condition,
        postgresql_where=condition,
    )


def _make_the_rest() -> None:
    op.create_table(
        "limit_change",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("book", sa.String(), nullable=False),
        sa.Column("scope", sa.String(), nullable=False),
        sa.Column("window", sa.String(), nullable=False),
        sa.Column("unit", sa.String(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("before", sa.BigInteger(), nullable=True),
        sa.Column("after", sa.BigInteger(), nullable=True),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("at", UTCDateTime(), nullable=False),
        sa.Column("expires_at", UTCDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("book", "scope", "window", "unit", "revision"),
    )
    op.create_table(
        "approval",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("job_id", sa.String(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("at", UTCDateTime(), nullable=False),
        sa.Column("expires_at", UTCDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_approval_job_id", "approval", ["job_id"], unique=False)
    op.create_table(
        "price",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("version", sa.String(), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("amount", sa.String(), nullable=True),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "team",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "alert",
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("book", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("what", sa.String(), nullable=False),
        sa.Column("next_step", sa.String(), nullable=False),
        sa.Column("at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("key"),
    )
    op.create_index("ix_alert_at", "alert", ["at"], unique=False)
    op.create_table(
        "alert_target",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("added_at", UTCDateTime(), nullable=False),
        sa.Column("tried_at", UTCDateTime(), nullable=True),
        sa.Column("problem", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "usage_record",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("vendor_job_id", sa.String(), nullable=False),
        sa.Column("event_type", sa.String(), nullable=False),
        sa.Column("pages", sa.Integer(), nullable=False),
        sa.Column("credits", sa.Integer(), nullable=False),
        sa.Column("recorded_at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "ix_usage_record_vendor_job_id", "usage_record", ["vendor_job_id"], unique=False
    )
    op.create_index("ix_usage_record_day", "usage_record", ["day"], unique=False)


def _carry_entries_over() -> None:
    bind = op.get_bind()
    hours = [
        (datetime.strptime(window, "hour:%Y-%m-%dT%H%z").astimezone(UTC), window[5:])
        for (window,) in bind.execute(sa.text('SELECT DISTINCT "window" FROM old_balance'))
        if window.startswith("hour:")
    ]
    old = sa.Table("old_ledger", sa.MetaData(), autoload_with=bind)
    # reflected on SQLite it would read times as naive ones
    for name in ("reserved_at", "at"):
        old.c[name].type = UTCDateTime()
    attempts = {
        row.id: row
        for row in bind.execute(sa.text("SELECT id, engine, status FROM attempt")).fetchall()
    }
    reserved: dict[str, Any] = {}
    new = sa.Table("ledger", sa.MetaData(), autoload_with=bind)
    for name in ("reserved_at", "at"):
        new.c[name].type = UTCDateTime()

    def carried() -> Iterator[dict[str, Any]]:
        for row in bind.execute(sa.select(old).order_by(old.c.id)).fetchall():
            is_reserve = row.kind == "reserve"
            first = reserved.setdefault(row.attempt_id, row)
            hour = next((key for start, key in hours if _holds(start, row.reserved_at)), "")
            hour = hour or f"{row.reserved_at:%Y-%m-%dT%H}+0000"
            attempt = attempts.get(row.attempt_id)
            engine = attempt.engine if attempt is not None else "llamaparse"
            yield {
                "id": row.id,
                "kind": row.kind,
                "book": "mock" if row.mode == "mock" else "real",
                "mode": row.mode,
                "service": engine,
                "engine": engine,
                "tier": row.tier,
                "team": "",
                "actor": row.actor,
                "job_id": row.job_id,
                "attempt_id": row.attempt_id,
                "outcome": "open" if is_reserve else attempt.status if attempt else "done",
                "is_repeat": False,
                "pages": 0,
                "reserved_credits": row.credits if is_reserve else -first.credits,
                "reserved_micros": row.micros if is_reserve else -first.micros,
                "reserved_submits": row.submits if is_reserve else -first.submits,
                "settled_credits": 0 if is_reserve else row.credits,
                "settled_micros": 0 if is_reserve else row.micros,
                "settled_submits": 0 if is_reserve else row.submits,
                "saved_micros": 0,
                "hour": hour,
                "day": hour[:10],
                "cause": "carried over from an older version",
                "reserved_at": row.reserved_at,
                "at": row.at,
            }

    entries = carried()
    while batch := list(islice(entries, _BATCH)):
        bind.execute(new.insert(), batch)
    if bind.dialect.name == "postgresql":
        bind.execute(
            sa.text(
                "SELECT setval(pg_get_serial_sequence('ledger', 'id'), "
                "(SELECT coalesce(max(id), 0) + 1 FROM ledger), false)"
            )
        )


def _holds(start: datetime, at: datetime) -> bool:
    return start <= at < start + timedelta(hours=1)


def _carry_limits_over() -> None:
    """What Setup stored held for simulated and real money alike."""
    bind = op.get_bind()
    setting = sa.table(
        "setting", sa.column("name"), sa.column("value"), sa.column("actor"), sa.column("at")
    )
    setting.c.at.type = UTCDateTime()
    change = sa.Table("limit_change", sa.MetaData(), autoload_with=bind)
    for name in ("at", "expires_at"):
        change.c[name].type = UTCDateTime()
    for name, window, unit, scale in (
        ("daily_limit_usd", "day", "usd", 1_000_000),
        ("hourly_request_limit", "hour", "submits", 1),
    ):
        row = bind.execute(sa.select(setting).where(setting.c.name == name)).first()
        if row is None:
            continue
        for book in ("real", "mock"):
            bind.execute(
                change.insert().values(
                    book=book,
                    scope="all",
                    window=window,
                    unit=unit,
                    revision=1,
                    before=None,
                    after=int(Decimal(row.value) * scale),
                    actor=row.actor,
                    reason="stored in Setup",
                    at=row.at,
                    expires_at=None,
                )
            )
        bind.execute(sa.delete(setting).where(setting.c.name == name))


def _seed_prices() -> None:
    """What the vendor's pages said when this version was made; newer prices are newer entries."""
    price = sa.table(
        "price",
        *(sa.column(n) for n in ("kind", "key", "version", "amount", "actor", "reason")),
        sa.column("valid_from", sa.Date()),
        sa.column("at", UTCDateTime()),
    )
    op.bulk_insert(
        price,
        [
            {
                "kind": str(entry.kind),
                "key": str(entry.key),
                "version": entry.version,
                "valid_from": entry.valid_from,
                "amount": str(entry.amount),
                "actor": "system:built-in",
                "reason": "the vendor's pricing page",
                "at": datetime(2026, 1, 1, tzinfo=UTC),
            }
            for entry in BUILT_IN_PRICES.entries
        ],
    )


def _sum_up() -> None:
    for scope, where in (
        ("'all'", ""),
        ("'service:' || service", ""),
        ("'team:' || team", "WHERE team <> ''"),
    ):
        for window in ("'hour:' || hour", "'day:' || day", "'month:' || substr(day, 1, 7)"):
            op.execute(
                f"INSERT INTO balance SELECT book, {scope}, {window}, sum(reserved_micros), "  # noqa: S608 - constants above
                "sum(settled_micros), sum(reserved_submits), sum(settled_submits) "
                f"FROM ledger {where} GROUP BY 1, 2, 3"
            )
    op.execute(
        "INSERT INTO open_reservation SELECT attempt_id, id FROM ledger WHERE kind = 'reserve' AND "
        "attempt_id NOT IN (SELECT attempt_id FROM ledger WHERE kind IN ('settle', 'release'))"
    )
    for window in ("'hour:' || hour", "'day:' || day"):
        # what is reserved lies under "open", wherever the entry that frees it says it ended
        for outcome, reserved, others, where in (
            ("'open'", 1, 0, ""),
            ("outcome", 0, 1, "WHERE kind <> 'reserve'"),
        ):
            op.execute(
                f"INSERT INTO rollup SELECT book, {window}, team, actor, service, engine, tier, {outcome}, "  # noqa: S608 - constants above
                f"sum(reserved_micros) * {reserved}, sum(settled_micros) * {others}, "
                f"sum(settled_credits) * {others}, sum(-reserved_micros) * {others}, 0, 0, "
                f"sum(settled_submits) * {others} FROM ledger "
                f"{where} GROUP BY 1, 2, 3, 4, 5, 6, 7, 8"
            )


def _forbid_changes(table: str) -> None:
    """Updates and deletes fail in the database itself, whoever tries."""
    words = f"{table} is append-only"
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            "CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = '23000'; END $$"
        )
        op.execute(
            f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )
        return
    for event in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER {table}_no_{event.lower()} BEFORE {event} ON {table} "
            f"BEGIN SELECT RAISE(ABORT, '{words}'); END"
        )
    # INSERT OR REPLACE deletes without firing the trigger above
    op.execute(
        f"CREATE TRIGGER {table}_no_replace BEFORE INSERT ON {table} "  # noqa: S608 - constants above
        f"WHEN EXISTS (SELECT 1 FROM {table} WHERE id = NEW.id) "
        f"BEGIN SELECT RAISE(ABORT, '{words}'); END"
    )
