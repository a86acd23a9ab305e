// The retail shop in SQLite. Amounts are cents; positions keep the order in which the outside
// database lists things.
#pragma once

namespace retail {

inline constexpr char kSchema[] = R"sql(
CREATE TABLE users (
  user_id TEXT PRIMARY KEY, first_name TEXT NOT NULL, last_name TEXT NOT NULL, email TEXT NOT NULL,
  address TEXT NOT NULL) WITHOUT ROWID;                         -- JSON object
CREATE TABLE payment_methods (
  user_id TEXT NOT NULL REFERENCES users, id TEXT NOT NULL, source TEXT NOT NULL,
  brand TEXT, last_four TEXT, balance_cents INTEGER,            -- balance: gift cards only
  PRIMARY KEY (user_id, id)) WITHOUT ROWID;
CREATE TABLE products (product_id TEXT PRIMARY KEY, name TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE variants (
  item_id TEXT PRIMARY KEY, product_id TEXT NOT NULL REFERENCES products,
  options TEXT NOT NULL, available INTEGER NOT NULL, price_cents INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX variants_of ON variants (product_id);
CREATE TABLE orders (
  order_id TEXT PRIMARY KEY, user_id TEXT NOT NULL REFERENCES users, user_position INTEGER,
  address TEXT NOT NULL, status TEXT NOT NULL, fulfillments TEXT NOT NULL,   -- JSON
  cancel_reason TEXT,
  exchange_items TEXT, exchange_new_items TEXT, exchange_payment_method_id TEXT,
  exchange_price_difference_cents INTEGER,
  return_items TEXT, return_payment_method_id TEXT) WITHOUT ROWID;
CREATE INDEX orders_of ON orders (user_id, user_position);
CREATE TABLE order_items (
  order_id TEXT NOT NULL REFERENCES orders, position INTEGER NOT NULL, name TEXT NOT NULL,
  product_id TEXT NOT NULL, item_id TEXT NOT NULL, price_cents INTEGER NOT NULL, options TEXT NOT NULL,
  PRIMARY KEY (order_id, position)) WITHOUT ROWID;
CREATE TABLE payments (
  order_id TEXT NOT NULL REFERENCES orders, position INTEGER NOT NULL,
  transaction_type TEXT NOT NULL, amount_cents INTEGER NOT NULL, payment_method_id TEXT NOT NULL,
  PRIMARY KEY (order_id, position)) WITHOUT ROWID;
)sql";

}  // namespace retail
