import java.math.BigDecimal;
import java.sql.*;
import java.time.*;
import java.util.*;

/** PostgreSQL's JDBC driver: DatabaseMetaData, batches, fetch size, every type through the extended protocol in text and binary. */
public class Run {
    interface Step {
        void run(Connection c) throws Exception;
    }

    static final Map<String, Step> STEPS = new LinkedHashMap<>();
    static final UUID MARK = UUID.fromString("12345678-1234-5678-1234-567812345678");

    static void same(Object found, Object expected) {
        if (!Objects.equals(found, expected)) throw new AssertionError("found    " + found + "\n   expected " + expected);
    }

    static void fails(String state, Step action, Connection c) throws Exception {
        try {
            action.run(c);
        } catch (SQLException error) {
            same(error.getSQLState(), state);
            return;
        }
        throw new AssertionError("no error where " + state + " was due");
    }

    static void execute(Connection c, String sql) throws SQLException {
        try (Statement s = c.createStatement()) {
            s.execute(sql);
        }
    }

    /** The given columns of a result, one text for each row. */
    static List<String> rows(ResultSet r, String... columns) throws SQLException {
        List<String> all = new ArrayList<>();
        while (r.next()) {
            List<String> values = new ArrayList<>();
            for (String column : columns) values.add(String.valueOf(r.getString(column)));
            all.add(String.join("|", values));
        }
        r.close();
        return all;
    }

    static List<String> rows(Connection c, String sql) throws SQLException {
        try (Statement s = c.createStatement()) {
            ResultSet r = s.executeQuery(sql);
            String[] names = new String[r.getMetaData().getColumnCount()];
            for (int i = 0; i < names.length; i++) names[i] = r.getMetaData().getColumnLabel(i + 1);
            return rows(r, names);
        }
    }

    static final String EVERY = "create table jdbc_every (id int primary key, b boolean, i2 smallint, i4 integer, i8 bigint, f4 real, "
        + "f8 double precision, n numeric(12,3), t text, v varchar(20), c char(5), by bytea, d date, tm time, ts timestamp, tz timestamptz, "
        + "iv interval, u uuid, j json, jb jsonb, ai int[], at text[])";

    static void insertEvery(Connection c, int id) throws SQLException {
        try (PreparedStatement p = c.prepareStatement("insert into jdbc_every values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?::interval, ?, ?::json, ?::jsonb, ?, ?)")) {
            p.setInt(1, id);
            p.setBoolean(2, true);
            p.setShort(3, (short) -7);
            p.setInt(4, 42);
            p.setLong(5, Long.MIN_VALUE);
            p.setFloat(6, 1.5f);
            p.setDouble(7, 1.1);
            p.setBigDecimal(8, new BigDecimal("-123456.789"));
            p.setString(9, "naïve");
            p.setString(10, "varchar");
            p.setString(11, "ab");
            p.setBytes(12, new byte[] {0, -1, 92});
            p.setObject(13, LocalDate.of(1969, 7, 20));
            p.setObject(14, LocalTime.of(23, 59, 59));
            p.setObject(15, LocalDateTime.of(2001, 2, 3, 4, 5, 6));
            p.setObject(16, OffsetDateTime.of(2001, 2, 3, 4, 5, 6, 0, ZoneOffset.UTC));
            p.setString(17, "3 days 04:00:00");
            p.setObject(18, MARK);
            p.setString(19, "{\"a\": 1}");
            p.setString(20, "{\"b\": 2}");
            p.setArray(21, c.createArrayOf("int4", new Object[] {1, null, 3}));
            p.setArray(22, c.createArrayOf("text", new Object[] {"x", null, "q\"uote"}));
            same(p.executeUpdate(), 1);
        }
    }

    static void checkEvery(ResultSet r) throws SQLException {
        same(r.getBoolean("b"), true);
        same(r.getShort("i2"), (short) -7);
        same(r.getInt("i4"), 42);
        same(r.getLong("i8"), Long.MIN_VALUE);
        same(r.getFloat("f4"), 1.5f);
        same(r.getDouble("f8"), 1.1);
        same(r.getBigDecimal("n"), new BigDecimal("-123456.789"));
        same(r.getString("t"), "naïve");
        same(r.getString("c"), "ab   ");
        same(Arrays.toString(r.getBytes("by")), "[0, -1, 92]");
        same(r.getObject("d", LocalDate.class), LocalDate.of(1969, 7, 20));
        same(r.getObject("tm", LocalTime.class), LocalTime.of(23, 59, 59));
        same(r.getObject("ts", LocalDateTime.class), LocalDateTime.of(2001, 2, 3, 4, 5, 6));
        same(r.getObject("tz", OffsetDateTime.class).toInstant(), Instant.parse("2001-02-03T04:05:06Z"));
        same(r.getObject("u"), MARK);
        same(r.getString("jb"), "{\"b\": 2}");
        same(Arrays.toString((Object[]) r.getArray("ai").getArray()), "[1, null, 3]");
        same(Arrays.toString((Object[]) r.getArray("at").getArray()), "[x, null, q\"uote]");
    }

    static void values() {
        STEPS.put("every type", c -> {
            execute(c, EVERY);
            insertEvery(c, 1);
            try (PreparedStatement p = c.prepareStatement("select * from jdbc_every where id = ?")) {
                // From the fifth time on the driver names the statement and reads binary.
                for (int n = 0; n < 8; n++) {
                    p.setInt(1, 1);
                    ResultSet r = p.executeQuery();
                    same(r.next(), true);
                    checkEvery(r);
                    same(r.next(), false);
                }
            }
        });
        STEPS.put("nulls", c -> {
            execute(c, "insert into jdbc_every (id) values (2)");
            try (PreparedStatement p = c.prepareStatement("select * from jdbc_every where id = 2")) {
                ResultSet r = p.executeQuery();
                r.next();
                for (int n = 2; n <= 22; n++) same(r.getObject(n), null);
            }
            try (PreparedStatement p = c.prepareStatement("insert into jdbc_every (id, d, n, t) values (?, ?, ?, ?)")) {
                p.setInt(1, 3);
                p.setNull(2, Types.DATE);
                p.setNull(3, Types.NUMERIC);
                p.setNull(4, Types.VARCHAR);
                same(p.executeUpdate(), 1);
            }
        });
        STEPS.put("result metadata", c -> {
            try (PreparedStatement p = c.prepareStatement("select id, n, v as label, jb from jdbc_every")) {
                ResultSetMetaData m = p.getMetaData();
                same(m.getColumnTypeName(1) + m.getColumnTypeName(2) + m.getColumnTypeName(3) + m.getColumnTypeName(4), "int4numericvarcharjsonb");
                same(m.getPrecision(2) + "," + m.getScale(2) + "," + m.getPrecision(3), "12,3,20");
                same(m.getColumnLabel(3), "label");
                same(m.getTableName(1), "jdbc_every");
                same(((org.postgresql.PGResultSetMetaData) m).getBaseColumnName(3), "v");
                same(m.isNullable(1), ResultSetMetaData.columnNoNulls);
                same(m.isNullable(2), ResultSetMetaData.columnNullable);
                same(m.isAutoIncrement(1), false);
            }
            try (PreparedStatement p = c.prepareStatement("select ? + 1::bigint, ?::text")) {
                same(p.getParameterMetaData().getParameterTypeName(1) + p.getParameterMetaData().getParameterTypeName(2), "int8text");
            }
        });
        STEPS.put("errors and recovery", c -> {
            fails("42P01", k -> rows(k, "select * from nowhere"), c);
            fails("42601", k -> rows(k, "selec 1"), c);
            fails("22012", k -> rows(k, "select 1/0"), c);
            fails("23505", k -> execute(k, "insert into jdbc_every (id) values (1)"), c);
            same(rows(c, "select 1 as a"), List.of("1"));
        });
    }

    static void work() {
        STEPS.put("transactions and savepoints", c -> {
            execute(c, "create table jdbc_trips (a int)");
            c.setAutoCommit(false);
            execute(c, "insert into jdbc_trips values (1)");
            c.rollback();
            execute(c, "insert into jdbc_trips values (2)");
            c.commit();
            try {
                Savepoint point = c.setSavepoint();
                execute(c, "insert into jdbc_trips values (3)");
                c.rollback(point);
                execute(c, "insert into jdbc_trips values (4)");
                c.commit();
            } finally {
                c.rollback();
                c.setAutoCommit(true);
            }
            same(rows(c, "select a from jdbc_trips order by a"), List.of("2", "4"));
        });
        STEPS.put("isolation and read only", c -> {
            c.setTransactionIsolation(Connection.TRANSACTION_REPEATABLE_READ);
            same(c.getTransactionIsolation(), Connection.TRANSACTION_REPEATABLE_READ);
            c.setReadOnly(true);
            c.setAutoCommit(false);
            try {
                fails("25006", k -> execute(k, "insert into jdbc_trips values (9)"), c);
            } finally {
                c.rollback();
                c.setAutoCommit(true);
                c.setReadOnly(false);
            }
        });
        STEPS.put("batches", c -> {
            execute(c, "create table jdbc_batches (id int generated always as identity, a int, b text)");
            try (PreparedStatement p = c.prepareStatement("insert into jdbc_batches (a, b) values (?, ?)", Statement.RETURN_GENERATED_KEYS)) {
                for (int n = 0; n < 300; n++) {
                    p.setInt(1, n);
                    p.setString(2, "row " + n);
                    p.addBatch();
                }
                same(p.executeBatch().length, 300);
                same(rows(p.getGeneratedKeys(), "id").size(), 300);
            }
            same(rows(c, "select count(*) as n, sum(a) as s from jdbc_batches"), List.of("300|44850"));
            try (Statement s = c.createStatement()) {
                s.addBatch("insert into jdbc_batches (a) values (1000)");
                s.addBatch("delete from jdbc_batches where a = 1000");
                same(Arrays.toString(s.executeBatch()), "[1, 1]");
            }
        });
        STEPS.put("rewritten batches", c -> {
            try (Connection other = DriverManager.getConnection(address + "&reWriteBatchedInserts=true");
                PreparedStatement p = other.prepareStatement("insert into jdbc_batches (a, b) values (?, ?)")) {
                for (int n = 0; n < 100; n++) {
                    p.setInt(1, 2000 + n);
                    p.setString(2, null);
                    p.addBatch();
                }
                same(p.executeBatch().length, 100);
            }
            same(rows(c, "select count(*) as n from jdbc_batches where a >= 2000"), List.of("100"));
        });
        STEPS.put("fetch size", c -> {
            c.setAutoCommit(false);
            try (PreparedStatement p = c.prepareStatement("select a from jdbc_batches where a < 300 order by a")) {
                p.setFetchSize(50);
                ResultSet r = p.executeQuery();
                for (int n = 0; n < 300; n++) {
                    r.next();
                    same(r.getInt(1), n);
                }
                same(r.next(), false);
            } finally {
                c.commit();
                c.setAutoCommit(true);
            }
        });
        STEPS.put("updatable and scrollable results", c -> {
            execute(c, "create table jdbc_updated (id int primary key, b text)");
            execute(c, "insert into jdbc_updated values (1, 'x'), (2, 'y')");
            try (Statement s = c.createStatement(ResultSet.TYPE_SCROLL_INSENSITIVE, ResultSet.CONCUR_UPDATABLE)) {
                ResultSet r = s.executeQuery("select id, b from jdbc_updated order by id");
                r.last();
                same(r.getRow(), 2);
                r.updateString("b", "z");
                r.updateRow();
            }
            same(rows(c, "select b from jdbc_updated order by id"), List.of("x", "z"));
        });
        STEPS.put("copy", c -> {
            org.postgresql.copy.CopyManager copy = c.unwrap(org.postgresql.PGConnection.class).getCopyAPI();
            same(copy.copyIn("copy jdbc_trips from stdin", new java.io.StringReader("10\n11\n")), 2L);
            java.io.StringWriter out = new java.io.StringWriter();
            copy.copyOut("copy (select a from jdbc_trips where a >= 10 order by a) to stdout csv", out);
            same(out.toString(), "10\n11\n");
        });
        STEPS.put("cancel and timeout", c -> {
            try (Statement s = c.createStatement()) {
                s.setQueryTimeout(1);
                s.executeQuery("select count(*) from generate_series(1, 300000) a, generate_series(1, 300000) b");
                throw new AssertionError("it was not cancelled");
            } catch (SQLException error) {
                same(error.getSQLState(), "57014");
            }
            same(rows(c, "select 1 as a"), List.of("1"));
        });
        STEPS.put("schema, client info, warnings", c -> {
            execute(c, "create schema jdbc_side");
            c.setSchema("jdbc_side");
            same(c.getSchema(), "jdbc_side");
            c.setSchema("public");
            c.setClientInfo("ApplicationName", "from java");
            same(rows(c, "show application_name"), List.of("from java"));
            same(c.getCatalog(), "plimsoll");
            same(c.isValid(5), true);
        });
    }

    static void metadata() {
        STEPS.put("metadata: facts", c -> {
            DatabaseMetaData m = c.getMetaData();
            same(m.getDatabaseProductName(), "PostgreSQL");
            same(m.getDatabaseMajorVersion(), 15);
            same(m.getMaxColumnNameLength(), 63);
            same(m.getSQLKeywords().length() > 100, true);
            same(m.getUserName(), "plimsoll");
        });
        STEPS.put("metadata: schemas, catalogs, table types", c -> {
            DatabaseMetaData m = c.getMetaData();
            List<String> schemas = rows(m.getSchemas(), "TABLE_SCHEM");
            same(schemas.containsAll(List.of("public", "pg_catalog", "information_schema", "jdbc_side")), true);
            same(rows(m.getSchemas(null, "jdbc%"), "TABLE_SCHEM"), List.of("jdbc_side"));
            same(rows(m.getCatalogs(), "TABLE_CAT"), List.of("plimsoll"));
            same(rows(m.getTableTypes(), "TABLE_TYPE").containsAll(List.of("TABLE", "VIEW", "SEQUENCE", "INDEX")), true);
        });
        STEPS.put("metadata: tables", c -> {
            execute(c, "create table jdbc_keys (a int, b text not null default 'x', c numeric(8,2), primary key (b, a), unique (c, a))");
            execute(c, "create view jdbc_seen as select a, b from jdbc_keys");
            execute(c, "comment on table jdbc_keys is 'with keys'");
            execute(c, "comment on column jdbc_keys.c is 'money'");
            DatabaseMetaData m = c.getMetaData();
            same(rows(m.getTables(null, "public", "jdbc_keys", null), "TABLE_SCHEM", "TABLE_NAME", "TABLE_TYPE", "REMARKS"), List.of("public|jdbc_keys|TABLE|with keys"));
            same(rows(m.getTables(null, null, "jdbc_se%", new String[] {"VIEW"}), "TABLE_NAME", "TABLE_TYPE"), List.of("jdbc_seen|VIEW"));
            same(rows(m.getTables(null, "pg_catalog", "pg_class", null), "TABLE_NAME", "TABLE_TYPE"), List.of("pg_class|SYSTEM TABLE"));
            same(rows(m.getTables(null, "information_schema", "columns", null), "TABLE_NAME", "TABLE_TYPE"), List.of("columns|SYSTEM VIEW"));
        });
        STEPS.put("metadata: columns", c -> {
            DatabaseMetaData m = c.getMetaData();
            same(rows(m.getColumns(null, "public", "jdbc_keys", null), "COLUMN_NAME", "DATA_TYPE", "TYPE_NAME", "COLUMN_SIZE", "DECIMAL_DIGITS", "NULLABLE", "COLUMN_DEF", "ORDINAL_POSITION", "REMARKS"),
                List.of("a|4|int4|10|0|0|null|1|null", "b|12|text|2147483647|0|0|'x'::text|2|null", "c|2|numeric|8|2|1|null|3|money"));
            same(rows(m.getColumns(null, null, "jdbc_batches", "id"), "COLUMN_NAME", "IS_AUTOINCREMENT", "IS_GENERATEDCOLUMN"), List.of("id|YES|NO"));
            same(rows(m.getColumns(null, null, "jdbc_seen", null), "COLUMN_NAME", "TYPE_NAME"), List.of("a|int4", "b|text"));
            same(rows(m.getColumns(null, null, "jdbc_every", null), "TYPE_NAME").toString(), "[int4, bool, int2, int4, int8, float4, float8, numeric, text, varchar, bpchar, bytea, date, time, timestamp, timestamptz, interval, uuid, json, jsonb, _int4, _text]");
        });
        STEPS.put("metadata: keys and indexes", c -> {
            DatabaseMetaData m = c.getMetaData();
            same(rows(m.getPrimaryKeys(null, null, "jdbc_keys"), "COLUMN_NAME", "KEY_SEQ", "PK_NAME"), List.of("b|1|jdbc_keys_pkey", "a|2|jdbc_keys_pkey"));
            same(rows(m.getIndexInfo(null, null, "jdbc_keys", false, true), "INDEX_NAME", "NON_UNIQUE", "ORDINAL_POSITION", "COLUMN_NAME", "ASC_OR_DESC"),
                List.of("jdbc_keys_c_a_key|f|1|c|A", "jdbc_keys_c_a_key|f|2|a|A", "jdbc_keys_pkey|f|1|b|A", "jdbc_keys_pkey|f|2|a|A"));
            same(rows(m.getImportedKeys(null, null, "jdbc_keys"), "FKTABLE_NAME"), List.of());
            same(rows(m.getExportedKeys(null, null, "jdbc_keys"), "FKTABLE_NAME"), List.of());
            same(rows(m.getCrossReference(null, null, "jdbc_keys", null, null, "jdbc_trips"), "FKTABLE_NAME"), List.of());
            execute(c, "create table jdbc_refs (x int, y text, z int unique, w int references jdbc_refs (z) on delete cascade deferrable initially deferred,"
                + " constraint both_keys foreign key (y, x) references jdbc_keys on update set null)");
            String[] key = {"PKTABLE_NAME", "PKCOLUMN_NAME", "FKTABLE_NAME", "FKCOLUMN_NAME", "KEY_SEQ", "UPDATE_RULE", "DELETE_RULE", "FK_NAME", "PK_NAME", "DEFERRABILITY"};
            List<String> both = List.of("jdbc_keys|b|jdbc_refs|y|1|2|3|both_keys|jdbc_keys_pkey|7", "jdbc_keys|a|jdbc_refs|x|2|2|3|both_keys|jdbc_keys_pkey|7");
            same(rows(m.getExportedKeys(null, null, "jdbc_keys"), key), both);
            same(rows(m.getCrossReference(null, null, "jdbc_keys", null, null, "jdbc_refs"), key), both);
            same(rows(m.getImportedKeys(null, null, "jdbc_refs"), key), List.of(both.get(0), both.get(1), "jdbc_refs|z|jdbc_refs|w|1|3|0|jdbc_refs_w_fkey|jdbc_refs_z_key|5"));
            same(rows(m.getBestRowIdentifier(null, null, "jdbc_keys", DatabaseMetaData.bestRowSession, true), "COLUMN_NAME").size(), 2);
            rows(m.getVersionColumns(null, null, "jdbc_keys"), "COLUMN_NAME");
        });
        STEPS.put("metadata: types", c -> {
            List<String> types = rows(c.getMetaData().getTypeInfo(), "TYPE_NAME");
            same(types.containsAll(List.of("int4", "text", "numeric", "jsonb", "uuid", "_int4")), true);
            rows(c.getMetaData().getUDTs(null, "public", "nothing%", null), "TYPE_NAME");
        });
        STEPS.put("metadata: functions", c -> {
            DatabaseMetaData m = c.getMetaData();
            same(rows(m.getFunctions(null, "public", "%"), "FUNCTION_NAME"), List.of());
            same(rows(m.getProcedures(null, "public", "%"), "PROCEDURE_NAME"), List.of());
            same(rows(m.getFunctions(null, "pg_catalog", "md5"), "FUNCTION_NAME").size() > 0, true);
            same(rows(m.getFunctionColumns(null, "pg_catalog", "md5", null), "COLUMN_NAME").size() > 0, true);
            rows(m.getProcedureColumns(null, "public", "%", null), "COLUMN_NAME");
        });
        STEPS.put("metadata: privileges", c -> {
            DatabaseMetaData m = c.getMetaData();
            same(rows(m.getTablePrivileges(null, null, "jdbc_keys"), "GRANTEE", "PRIVILEGE").contains("plimsoll|SELECT"), true);
            same(rows(m.getColumnPrivileges(null, null, "jdbc_keys", "a"), "GRANTEE", "PRIVILEGE").contains("plimsoll|SELECT"), true);
            rows(m.getClientInfoProperties(), "NAME");
        });
    }

    static String address;

    public static void main(String[] arguments) throws Exception {
        address = "jdbc:" + arguments[0].replace("plimsoll@", "") + "?user=plimsoll";
        values();
        work();
        metadata();
        int failed = 0;
        try (Connection c = DriverManager.getConnection(address)) {
            for (Map.Entry<String, Step> step : STEPS.entrySet()) {
                try {
                    step.getValue().run(c);
                } catch (Throwable error) {
                    failed++;
                    System.out.println("FAILED " + step.getKey() + "\n   " + error);
                    for (StackTraceElement at : error.getStackTrace()) if (at.getClassName().startsWith("Run")) System.out.println("     at " + at);
                    if (!c.getAutoCommit()) c.rollback();
                }
            }
        }
        System.out.println((STEPS.size() - failed) + " of " + STEPS.size() + " steps passed");
        System.exit(failed == 0 ? 0 : 1);
    }
}
