//! INSERT, UPDATE, DELETE, TRUNCATE: their input is planned as a query that yields rows or ids of rows.
