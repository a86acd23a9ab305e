"""Rows of a database that may be damaged."""

import sqlite3


def data(value):
    """A column as bytes, however it is stored."""
    if value is None:
        return b""
    if isinstance(value, (bytes, str)):
        return value if isinstance(value, bytes) else value.encode()
    return str(value).encode()


class Rows:
    """Rows of a table in the order of its key, one at a time. Python's cursor reads one row ahead, so that the
    row before an unreadable one is lost; here it is read again by itself and the error comes after it."""

    def __init__(self, db, columns, table):
        self.db, self.key = db, columns.partition(",")[0]
        self.select = "SELECT %s FROM %s" % (columns, table)
        self.last, self.error, self.rows = None, None, None

    def next(self):
        """The next row, or None."""
        if self.error is not None:
            raise self.error
        try:
            if self.rows is None:
                self.rows = self.db.execute("%s ORDER BY %s" % (self.select, self.key))
            row = self.rows.fetchone()
        except sqlite3.Error as error:
            self.error = error
            row = self._alone()
        if row is not None:
            self.last = row[0]
        return row

    def _alone(self):
        where = "" if self.last is None else " WHERE %s > %d" % (self.key, self.last)
        return self.db.execute("%s%s ORDER BY %s LIMIT 1" % (self.select, where, self.key)).fetchone()
