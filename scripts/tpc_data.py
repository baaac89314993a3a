"""Data and query texts of TPC-H and TPC-DS, from DuckDB's extensions, for scripts/compare-queries.

DuckDB's schemas have neither keys nor char(n): TPC-H's is bench/schema.sql; TPC-DS's is made from DuckDB's column
names and decimals, with the integers, char(n) and keys of the specification.
"""

import importlib.util
import os
import pathlib
import re
import subprocess
import sys
import tempfile

SETS = {"tpch": "dbgen", "tpcds": "dsdgen"}
BENCH = pathlib.Path(__file__).resolve().parent.parent / "bench"

# Keys of the tables that hold facts; all others have theirs in the first column.
FACT_KEYS = {
    "store_sales": "ss_item_sk, ss_ticket_number",
    "store_returns": "sr_item_sk, sr_ticket_number",
    "catalog_sales": "cs_item_sk, cs_order_number",
    "catalog_returns": "cr_item_sk, cr_order_number",
    "web_sales": "ws_item_sk, ws_order_number",
    "web_returns": "wr_item_sk, wr_order_number",
    "inventory": "inv_date_sk, inv_item_sk, inv_warehouse_sk",
}
# The specification's char(n), by the column's name; what is not here is varchar.
CHAR_COLUMNS = [
    (r"_id$", 16),
    (r"_hours$|_shift$|_meal_time$|_education_status$|_location_type$|c_first_name$|sm_carrier$|sm_contract$", 20),
    (r"i_(size|formulation|color)$", 20),
    (r"_street_number$|_suite_number$|_zip$|_credit_rating$|sm_code$|c_salutation$|i_(units|container)$", 10),
    (r"_street_type$|hd_buy_potential$|p_purpose$", 15),
    (r"_state$|t_am_pm$", 2),
    (r"_gender$|_marital_status$|_flag$|p_channel_(?!details)|p_discount_active$|d_(holiday|weekend|following_holiday)$", 1),
    (r"d_current_", 1),
    (r"d_day_name$", 9),
    (r"d_quarter_name$", 6),
    (r"i_(brand|class|category|manufact|product_name)$|c_email_address$|wp_type$|_company_name$|p_promo_name$", 50),
    (r"c_last_name$|sm_type$", 30),
    (r"c_login$", 13),
    (r"r_reason_desc$", 100),
]


def duckdb_with(what, database=":memory:"):
    """A DuckDB, in memory or a file, with an extension taken from its Python package: nothing is downloaded."""
    try:
        import duckdb
    except ImportError:
        sys.exit(package_hint("duckdb"))
    spec = importlib.util.find_spec(f"duckdb_extension_{what}")
    if spec is None or spec.origin is None:
        sys.exit(package_hint(f"duckdb-extension-{what}"))
    file = pathlib.Path(spec.origin).parent / "extensions" / f"v{duckdb.__version__}" / f"{what}.duckdb_extension"
    if not file.exists():
        sys.exit(f"{file} is missing: duckdb-extension-{what} must have duckdb's version, {duckdb.__version__}")
    connection = duckdb.connect(database)
    connection.execute(f"load '{file}'")
    return connection


def package_hint(package):
    return f"the Python package {package} is missing: pip install duckdb==1.5.5 {package}==1.5.5"


def query_texts(what):
    """[(number, text)]; all of them are SQL that PostgreSQL takes as it is."""
    return duckdb_with(what).execute(f"select query_nr, query from {what}_queries() order by query_nr").fetchall()


def psql(database, *arguments, **more):
    return subprocess.run(
        ["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", database, *arguments], check=True, text=True, **more)


def database_exists(name):
    answer = psql("postgres", "-At", "-v", f"name={name}", input="select 1 from pg_database where datname = :'name'",
                  capture_output=True)
    return answer.stdout.strip() == "1"


def column_type(name, duckdb_type):
    if duckdb_type in ("BIGINT", "INTEGER"):
        return "bigint" if name.endswith(("_order_number", "_ticket_number")) else "integer"
    if duckdb_type.startswith("DECIMAL"):
        return duckdb_type.replace("DECIMAL", "numeric")
    if duckdb_type == "VARCHAR":
        return next((f"char({n})" for pattern, n in CHAR_COLUMNS if re.search(pattern, name)), "varchar")
    return duckdb_type.lower()


def tpcds_table(connection, table):
    columns = connection.execute(
        "select column_name, data_type from duckdb_columns() where table_name = ? order by column_index",
        [table]).fetchall()
    key = FACT_KEYS.get(table, columns[0][0])
    body = ",\n".join(f"    {name} {column_type(name, kind)}" for name, kind in columns)
    return f"create table {table} (\n{body}\n);\n", f"alter table {table} add primary key ({key});\n"


def load(what, scale, database):
    print(f"loading {what}, scale {scale:g}, into database {database}", file=sys.stderr, flush=True)
    connection = duckdb_with(what)
    connection.execute(f"call {SETS[what]}(sf={scale:g})")
    tables = [name for (name,) in connection.execute("select table_name from duckdb_tables()").fetchall()]
    if what == "tpch":
        schema, keys = (BENCH / "schema.sql").read_text(), (BENCH / "keys.sql").read_text()
    else:
        parts = [tpcds_table(connection, table) for table in tables]
        schema = "".join(create for create, _ in parts)
        keys = "".join(key for _, key in parts) + "create extension pg_joinscan;\nvacuum analyze;\n"
    psql("postgres", "-c", f'drop database if exists "{database}"', "-c", f'create database "{database}" template template0',
         env={**os.environ, "PGOPTIONS": "-c client_min_messages=warning"})
    psql(database, "-f", "-", input=schema)
    with tempfile.TemporaryDirectory() as folder:
        for table in tables:
            file = f"{folder}/{table}.csv"
            connection.execute(f"copy {table} to '{file}' (format csv, header false)")
            psql(database, "-c", f"\\copy {table} from '{file}' (format csv)")
            os.unlink(file)
    psql(database, "-f", "-", input=keys)
