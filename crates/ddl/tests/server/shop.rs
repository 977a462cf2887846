//! A database with something of each kind.

pub(crate) const SHOP: &str = "
CREATE DOMAIN positive AS integer CHECK (VALUE > 0);
CREATE DOMAIN label AS text;
CREATE TYPE mood AS ENUM ('good', 'bad');
CREATE TABLE customers (
    id integer PRIMARY KEY, name varchar(50) NOT NULL, email text, note text, age smallint,
    score numeric(10, 2), seen timestamp, born date, network cidr, code char(4), feeling mood, points real,
    level integer DEFAULT 1, nick varchar(20) CHECK (nick <> ''), known varchar
);
INSERT INTO customers SELECT n, 'n' || n, 'e' || n, 'n', 30, n, now(), now(), '10.0.0.0/8', 'abcd', 'good', 1, 1, 'x', 'k'
    FROM generate_series(1, 500) n;
ALTER TABLE customers ADD CONSTRAINT email_there CHECK (email IS NOT NULL) NOT VALID;
CREATE INDEX customers_name ON customers (name);
CREATE UNIQUE INDEX customers_email ON customers (email);
CREATE UNIQUE INDEX customers_age ON customers (id, age);
CREATE TABLE orders (
    id bigint PRIMARY KEY, customer integer REFERENCES customers (id), total numeric(8, 2) CHECK (total >= 0),
    state varchar(20), made timestamptz DEFAULT now(), amount positive, doubled numeric GENERATED ALWAYS AS (total * 2) STORED
);
INSERT INTO orders SELECT n, n, n, 'open', now(), 1 FROM generate_series(1, 500) n;
ALTER TABLE orders ADD CONSTRAINT state_there CHECK (state IS NOT NULL AND length(state) > 1);
CREATE INDEX orders_state ON orders (state);
CREATE TABLE lines (id integer PRIMARY KEY, order_id bigint, product text);
INSERT INTO lines SELECT n, n, 'p' FROM generate_series(1, 500) n;
ALTER TABLE lines ADD CONSTRAINT lines_order FOREIGN KEY (order_id) REFERENCES orders NOT VALID;
CREATE TABLE events (id bigint, at date NOT NULL, kind text) PARTITION BY RANGE (at);
CREATE TABLE events_2025 PARTITION OF events FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE TABLE events_2026 PARTITION OF events FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
CREATE TABLE events_2027 (id bigint, at date NOT NULL, kind text, CONSTRAINT kinds_known CHECK (kind <> 'z'));
INSERT INTO events SELECT n, '2025-05-05', 'k' FROM generate_series(1, 200) n;
INSERT INTO events SELECT n, '2026-05-05', 'k' FROM generate_series(1, 200) n;
INSERT INTO events_2027 SELECT n, '2027-05-05', 'k' FROM generate_series(1, 200) n;
CREATE INDEX events_kind ON events (kind);
CREATE TABLE base (id integer, word text);
CREATE TABLE derived (more text) INHERITS (base);
INSERT INTO base SELECT n, 'w' FROM generate_series(1, 200) n;
INSERT INTO derived SELECT n, 'w', 'm' FROM generate_series(1, 200) n;
CREATE VIEW open_orders AS SELECT id, state FROM orders WHERE state = 'open';
CREATE MATERIALIZED VIEW totals AS SELECT customer, sum(total) AS total FROM orders GROUP BY customer;
CREATE UNIQUE INDEX totals_customer ON totals (customer);
CREATE SEQUENCE numbers;
CREATE SCHEMA attic;
CREATE ACCESS METHOD other TYPE TABLE HANDLER heap_tableam_handler;
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE FUNCTION always_one() RETURNS integer LANGUAGE sql VOLATILE AS 'SELECT 1';
CREATE TRIGGER customers_touch BEFORE UPDATE ON customers FOR EACH ROW EXECUTE FUNCTION touch();
CREATE TRIGGER events_touch BEFORE UPDATE ON events FOR EACH ROW EXECUTE FUNCTION touch();
ALTER TABLE events ADD CONSTRAINT kinds_known CHECK (kind <> 'z') NOT VALID;
CREATE POLICY own ON customers USING (true);
CREATE RULE ignored AS ON DELETE TO base WHERE OLD.id = 0 DO INSTEAD NOTHING;
";
