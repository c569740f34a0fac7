"""SQLAlchemy 2 over psycopg and asyncpg: create_all, reflection of everything, the ORM."""

import asyncio
import datetime as dt
import decimal
import os
import sys
import uuid

sys.path.insert(0, os.path.join(os.path.dirname(__file__), ".."))
import sqlalchemy as sa  # noqa: E402
from sqlalchemy.dialects import postgresql as pg  # noqa: E402
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine  # noqa: E402
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship  # noqa: E402
from steps import STEPS, fails_with, same, step  # noqa: E402


class Base(DeclarativeBase):
    pass


class Ship(Base):
    __tablename__ = "orm_ships"
    __table_args__ = (
        sa.UniqueConstraint("name", "yard", name="ships_name_yard"),
        sa.CheckConstraint("tons >= 0", name="ships_tons"),
        {"comment": "what floats"},
    )
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(40))
    yard: Mapped[str | None]
    tons: Mapped[decimal.Decimal] = mapped_column(sa.Numeric(12, 2), server_default=sa.text("0"))
    launched: Mapped[dt.date | None] = mapped_column(comment="wet for the first time")
    seen: Mapped[dt.datetime | None] = mapped_column(sa.DateTime(timezone=True))
    papers: Mapped[dict | None] = mapped_column(pg.JSONB)
    mark: Mapped[uuid.UUID | None]
    tags: Mapped[list | None] = mapped_column(pg.ARRAY(sa.Text))
    afloat: Mapped[bool] = mapped_column(server_default=sa.true())
    photo: Mapped[bytes | None]
    speed: Mapped[float | None] = mapped_column(pg.DOUBLE_PRECISION)
    voyages: Mapped[list["Voyage"]] = relationship(back_populates="ship", passive_deletes=True, foreign_keys="Voyage.ship_id")


class Voyage(Base):
    __tablename__ = "orm_voyages"
    __table_args__ = (sa.ForeignKeyConstraint(["ship_name", "ship_yard"], ["orm_ships.name", "orm_ships.yard"], name="voyages_called", match="FULL"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    ship_id: Mapped[int] = mapped_column(sa.ForeignKey("orm_ships.id", ondelete="CASCADE"))
    next_id: Mapped[int | None] = mapped_column(sa.ForeignKey("orm_voyages.id", deferrable=True, initially="DEFERRED", onupdate="SET NULL"))
    ship_name: Mapped[str | None] = mapped_column(sa.String(40))
    ship_yard: Mapped[str | None]
    ship: Mapped[Ship] = relationship(back_populates="voyages", foreign_keys=[ship_id])


NUMBERED = sa.Table("orm_numbered", Base.metadata, sa.Column("id", sa.BigInteger, sa.Identity(always=True, start=5), primary_key=True),
                    sa.Column("label", sa.Text, nullable=False))
SEQUENCE = sa.Sequence("orm_tickets", start=10, increment=3, metadata=Base.metadata)


@step
def create_all(c):
    Base.metadata.drop_all(c)
    Base.metadata.create_all(c)
    # The second time everything is there already, and is left alone.
    Base.metadata.create_all(c)
    c.exec_driver_sql("create view orm_heavy as select id, name from orm_ships where tons > 100")
    c.commit()


@step
def orm(c):
    mark = uuid.uuid4()
    with Session(c) as session:
        ship = Ship(name="Cutty Sark", tons=decimal.Decimal("963.50"), launched=dt.date(1869, 11, 22), papers={"rig": ["full"]}, mark=mark,
                    tags=["clipper", "tea"], photo=b"\x00\x01", speed=17.5, seen=dt.datetime(2020, 1, 1, tzinfo=dt.timezone.utc))
        session.add_all([ship] + [Ship(name=f"ship {n}", tons=n) for n in range(150)])
        session.commit()
        same(ship.id > 0, True)
        found = session.scalars(sa.select(Ship).where(Ship.mark == mark)).one()
        same((found.name, found.tons, found.papers, found.tags, found.photo, found.afloat, found.speed),
             ("Cutty Sark", decimal.Decimal("963.50"), {"rig": ["full"]}, ["clipper", "tea"], b"\x00\x01", True, 17.5))
        found.name = "Thermopylae"
        session.commit()
        same(session.scalar(sa.select(sa.func.count()).select_from(Ship).where(Ship.name.like("ship %"))), 150)
        same(session.scalars(sa.select(Ship.name).where(Ship.id.in_([found.id]))).all(), ["Thermopylae"])
        session.execute(sa.update(Ship).where(Ship.tons < 10).values(yard="Leith"))
        session.execute(sa.delete(Ship).where(Ship.tons.between(20, 29)))
        session.commit()
        same(session.scalar(sa.select(sa.func.count(Ship.yard))), 10)
        session.execute(pg.insert(Ship).values(id=found.id, name="again").on_conflict_do_update(index_elements=["id"], set_={"yard": "Hull"}))
        session.commit()
        session.expire_all()
        same(session.get(Ship, found.id).yard, "Hull")
        same(session.get(Ship, -1), None)


@step
def nested(c):
    with Session(c) as session:
        session.add(Ship(name="kept"))
        try:
            with session.begin_nested():
                session.add(Ship(name="dropped"))
                session.flush()
                raise RuntimeError("on purpose")
        except RuntimeError:
            pass
        session.commit()
        same(session.scalars(sa.select(Ship.name).where(Ship.name.in_(["kept", "dropped"]))).all(), ["kept"])


@step
def relationships(c):
    state = lambda e: getattr(e.orig, "sqlstate", None)  # noqa: E731
    with Session(c) as session:
        ship = Ship(name="Beagle", yard="Woolwich", voyages=[Voyage(), Voyage(ship_name="Beagle", ship_yard="Woolwich")])
        session.add(ship)
        session.commit()
        same(session.scalars(sa.select(Voyage).join(Voyage.ship).where(Ship.name == "Beagle")).all(), ship.voyages)
        # Each names the other: checked at COMMIT.
        first, second = ship.voyages
        session.execute(sa.update(Voyage).where(Voyage.id == first.id).values(next_id=second.id))
        session.execute(sa.update(Voyage).where(Voyage.id == second.id).values(next_id=first.id + 1000))
        fails_with("23503", state, session.commit)
        session.rollback()
        ship_id = ship.id
        session.execute(sa.update(Voyage).values(ship_name=None, ship_yard=None))
        session.delete(session.get(Ship, ship_id))
        session.commit()
        same(session.scalar(sa.select(sa.func.count()).select_from(Voyage)), 0)
    fails_with("23503", state, lambda: c.execute(sa.insert(Voyage).values(ship_id=-1)))
    c.rollback()


@step
def foreign_keys_are_reflected(c):
    inspector = sa.inspect(c)
    keys = sorted(inspector.get_foreign_keys("orm_voyages"), key=lambda key: key["name"])
    same([(k["name"], k["constrained_columns"], k["referred_table"], k["referred_columns"], k["options"]) for k in keys], [
        ("orm_voyages_next_id_fkey", ["next_id"], "orm_voyages", ["id"], {"onupdate": "SET NULL", "deferrable": True, "initially": "DEFERRED"}),
        ("orm_voyages_ship_id_fkey", ["ship_id"], "orm_ships", ["id"], {"ondelete": "CASCADE"}),
        ("voyages_called", ["ship_name", "ship_yard"], "orm_ships", ["name", "yard"], {"match": "FULL"}),
    ])
    table = sa.Table("orm_voyages", sa.MetaData(), autoload_with=c)
    same(sorted(fk.target_fullname for fk in table.foreign_keys), ["orm_ships.id", "orm_ships.name", "orm_ships.yard", "orm_voyages.id"])


@step
def errors(c):
    state = lambda e: getattr(e.orig, "sqlstate", None)  # noqa: E731
    fails_with("42P01", state, lambda: c.execute(sa.text("select * from nowhere")))
    c.rollback()
    fails_with("23514", state, lambda: c.execute(sa.insert(Ship).values(name="x", tons=-1)))
    c.rollback()
    fails_with("23502", state, lambda: c.execute(sa.insert(Ship).values(name=None)))
    c.rollback()
    same(c.scalar(sa.text("select 1")), 1)


@step
def identity_and_sequence(c):
    same(c.execute(sa.insert(NUMBERED).values(label="a").returning(NUMBERED.c.id)).scalar(), 5)
    same(c.scalar(SEQUENCE), 10)
    same(c.scalar(SEQUENCE), 13)
    c.commit()


@step
def names_are_listed(c):
    inspector = sa.inspect(c)
    same(inspector.default_schema_name, "public")
    same({"orm_ships", "orm_numbered"} <= set(inspector.get_table_names()), True)
    same(inspector.get_view_names(), ["orm_heavy"])
    same(inspector.get_materialized_view_names(), [])
    same(inspector.get_temp_table_names(), [])
    same("orm_tickets" in inspector.get_sequence_names(), True)
    same("public" in inspector.get_schema_names(), True)
    same(inspector.has_table("orm_ships"), True)
    same(inspector.has_table("orm_nothing"), False)
    same(inspector.has_sequence("orm_tickets"), True)
    same(inspector.has_schema("public"), True)
    same(inspector.has_schema("nowhere"), False)
    same("orm_heavy" in inspector.get_table_names(), False)
    same(inspector.get_enums() if hasattr(inspector, "get_enums") else [], [])
    same(inspector.get_domains(), [])
    same("from orm_ships" in inspector.get_view_definition("orm_heavy").lower(), True)


@step
def columns_are_reflected(c):
    columns = {column["name"]: column for column in sa.inspect(c).get_columns("orm_ships")}
    same(list(columns), ["id", "name", "yard", "tons", "launched", "seen", "papers", "mark", "tags", "afloat", "photo", "speed"])
    kinds = {name: str(column["type"].compile(pg.dialect())) for name, column in columns.items()}
    same(kinds, {"id": "INTEGER", "name": "VARCHAR(40)", "yard": "VARCHAR", "tons": "NUMERIC(12, 2)", "launched": "DATE",
                 "seen": "TIMESTAMP WITH TIME ZONE", "papers": "JSONB", "mark": "UUID", "tags": "TEXT[]", "afloat": "BOOLEAN",
                 "photo": "BYTEA", "speed": "DOUBLE PRECISION"})
    same((columns["id"]["nullable"], columns["yard"]["nullable"]), (False, True))
    same(columns["id"]["default"], "nextval('orm_ships_id_seq'::regclass)")
    same((columns["tons"]["default"], columns["afloat"]["default"]), ("0", "true"))
    identity = sa.inspect(c).get_columns("orm_numbered")[0]["identity"]
    same((identity["always"], identity["start"], identity["increment"]), (True, 5, 1))
    same([column["name"] for column in sa.inspect(c).get_columns("orm_heavy")], ["id", "name"])


@step
def constraints_are_reflected(c):
    inspector = sa.inspect(c)
    key = inspector.get_pk_constraint("orm_ships")
    same((key["constrained_columns"], key["name"]), (["id"], "orm_ships_pkey"))
    unique = inspector.get_unique_constraints("orm_ships")
    same([(u["name"], u["column_names"]) for u in unique], [("ships_name_yard", ["name", "yard"])])
    same([(k["name"], k["sqltext"]) for k in inspector.get_check_constraints("orm_ships")], [("ships_tons", "tons >= 0::numeric")])
    same(inspector.get_foreign_keys("orm_ships"), [])
    indexes = inspector.get_indexes("orm_ships")
    same([(i["name"], i["column_names"], i["unique"], i["duplicates_constraint"]) for i in indexes],
         [("ships_name_yard", ["name", "yard"], True, "ships_name_yard")])


@step
def comments_are_reflected(c):
    inspector = sa.inspect(c)
    same(inspector.get_table_comment("orm_ships"), {"text": "what floats"})
    comments = {column["name"]: column["comment"] for column in inspector.get_columns("orm_ships")}
    same((comments["launched"], comments["name"]), ("wet for the first time", None))


@step
def everything_at_once(c):
    metadata = sa.MetaData()
    metadata.reflect(c, views=True)
    ships = metadata.tables["orm_ships"]
    same([column.name for column in ships.primary_key], ["id"])
    same({type(k).__name__ for k in ships.constraints}, {"PrimaryKeyConstraint", "UniqueConstraint", "CheckConstraint"})
    same(c.execute(sa.select(sa.func.count()).select_from(ships)).scalar() > 100, True)
    everything = sa.inspect(c).get_multi_columns(kind=sa.engine.reflection.ObjectKind.ANY)
    same((None, "orm_heavy") in everything, True)


@step
def drop_all(c):
    c.exec_driver_sql("drop view orm_heavy")
    c.commit()
    Base.metadata.drop_all(c)
    c.commit()
    same("orm_ships" in sa.inspect(c).get_table_names(), False)


def run_steps(connection, label):
    import traceback

    failed = 0
    for function in STEPS:
        try:
            function(connection)
        except Exception:
            failed += 1
            connection.rollback()
            print(f"FAILED {label} {function.__name__}\n   " + "\n   ".join(traceback.format_exc().strip().splitlines()[-14:]), flush=True)
    print(f"{label}: {len(STEPS) - failed} of {len(STEPS)} steps passed", flush=True)
    return failed


async def with_asyncpg(url):
    engine = create_async_engine(url.replace("postgresql://", "postgresql+asyncpg://"))
    async with engine.connect() as connection:
        failed = await connection.run_sync(run_steps, "asyncpg")
    async with AsyncSession(engine) as session:
        same((await session.execute(sa.text("select cast(:a as int) + 1"), {"a": 1})).scalar(), 2)
    await engine.dispose()
    return failed


def with_psycopg(url):
    engine = sa.create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.connect() as connection:
        failed = run_steps(connection, "psycopg")
    engine.dispose()
    return failed


def connected(label, run):
    """A dialect asks about types and settings as soon as it connects: that is a step of its own."""
    try:
        return run()
    except Exception as error:
        print(f"FAILED {label} connect\n   {error}", flush=True)
        print(f"{label}: 0 steps passed", flush=True)
        return 1


if __name__ == "__main__":
    failures = connected("psycopg", lambda: with_psycopg(sys.argv[1]))
    failures += connected("asyncpg", lambda: asyncio.run(with_asyncpg(sys.argv[1])))
    sys.exit(1 if failures else 0)
