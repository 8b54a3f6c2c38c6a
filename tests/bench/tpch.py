"""tpch.py: data like TPC-H's, made inside PostgreSQL from fixed seeds, and the 22 queries with the validation values of their parameters.

Row counts, keys, value ranges and how columns depend on each other follow the specification (revision 3); texts are words of its lists
put together at random, and rows differ from dbgen's."""

TABLES = {
    "region": "r_regionkey integer PRIMARY KEY, r_name text, r_comment text",
    "nation": "n_nationkey integer PRIMARY KEY, n_name text, n_regionkey integer, n_comment text",
    "part": "p_partkey integer PRIMARY KEY, p_name text, p_mfgr text, p_brand text, p_type text, p_size integer, p_container text,"
            " p_retailprice numeric(15,2), p_comment text",
    "supplier": "s_suppkey integer PRIMARY KEY, s_name text, s_address text, s_nationkey integer, s_phone text,"
                " s_acctbal numeric(15,2), s_comment text",
    "partsupp": "ps_partkey integer, ps_suppkey integer, ps_availqty integer, ps_supplycost numeric(15,2), ps_comment text,"
                " PRIMARY KEY (ps_partkey, ps_suppkey)",
    "customer": "c_custkey integer PRIMARY KEY, c_name text, c_address text, c_nationkey integer, c_phone text,"
                " c_acctbal numeric(15,2), c_mktsegment text, c_comment text",
    "orders": "o_orderkey integer PRIMARY KEY, o_custkey integer, o_orderstatus text, o_totalprice numeric(15,2), o_orderdate date,"
              " o_orderpriority text, o_clerk text, o_shippriority integer, o_comment text",
    "lineitem": "l_orderkey integer, l_partkey integer, l_suppkey integer, l_linenumber integer, l_quantity numeric(15,2),"
                " l_extendedprice numeric(15,2), l_discount numeric(15,2), l_tax numeric(15,2), l_returnflag text, l_linestatus text,"
                " l_shipdate date, l_commitdate date, l_receiptdate date, l_shipinstruct text, l_shipmode text, l_comment text,"
                " PRIMARY KEY (l_orderkey, l_linenumber)",
}

FOREIGN_KEYS = ("lineitem (l_partkey)", "lineitem (l_suppkey)", "orders (o_custkey)", "partsupp (ps_suppkey)")

COLORS = ("almond antique aquamarine azure beige bisque black blanched blue blush brown burlywood burnished chartreuse chiffon chocolate"
          " coral cornflower cornsilk cream cyan dark deep dim dodger drab firebrick floral forest frosted gainsboro ghost goldenrod"
          " green grey honeydew hot indian ivory khaki lace lavender lawn lemon light lime linen magenta maroon medium metallic midnight"
          " mint misty moccasin navajo navy olive orange orchid pale papaya peach peru pink plum powder puff purple red rose rosy royal"
          " saddle salmon sandy seashell sienna sky slate smoke snow spring steel tan thistle tomato turquoise violet wheat white"
          " yellow")
WORDS = ("foxes ideas theodolites pinto beans instructions dependencies excuses platelets asymptotes courts dolphins multipliers"
         " sauternes warthogs frets dinos attainments somas packages accounts deposits furiously slyly carefully blithely quickly even"
         " final ironic pending express bold silent daring sleep wake are cajole haggle nag use boost affix detect integrate")
NATIONS = ("ALGERIA:0 ARGENTINA:1 BRAZIL:1 CANADA:1 EGYPT:4 ETHIOPIA:0 FRANCE:3 GERMANY:3 INDIA:2 INDONESIA:2 IRAN:4 IRAQ:4 JAPAN:2"
           " JORDAN:4 KENYA:0 MOROCCO:0 MOZAMBIQUE:0 PERU:1 CHINA:2 ROMANIA:3 SAUDI_ARABIA:4 VIETNAM:2 RUSSIA:3 UNITED_KINGDOM:3"
           " UNITED_STATES:1")


def array(values):
    return "(ARRAY[%s])" % ", ".join("'%s'" % value.replace("_", " ") for value in values.split())


def pick(values, row, seed):
    return f"{array(values)}[r({row}, {seed}, 1, {len(values.split())})]"


def several(values, row, seed, count):
    return " || ' ' || ".join(pick(values, row, seed * 100 + number) for number in range(count))


def phone(nation, row, seed):
    return f"({nation} + 10) || '-' || r({row}, {seed}, 100, 999) || '-' || r({row}, {seed + 1}, 100, 999) || '-' || r({row}, {seed + 2}, 1000, 9999)"


def cents(row, seed, low, high):
    return f"r({row}, {seed}, {low}, {high})::numeric / 100"


def price(part):
    return f"(90000 + ({part} / 10) % 20001 + 100 * ({part} % 1000))::numeric / 100"


def statements(scale):
    """What makes the data, over the tables above; r(row, seed, low, high) is a uniform integer."""
    suppliers, parts, customers = int(10000 * scale), int(200000 * scale), int(150000 * scale)

    def supplier(part, number):  # of the four that sell a part
        return f"(({part} + {number} * ({suppliers} / 4 + ({part} - 1) / {suppliers})) % {suppliers} + 1)"

    yield """CREATE FUNCTION r(row_number bigint, seed int, low bigint, high bigint) RETURNS bigint IMMUTABLE LANGUAGE sql AS
 'SELECT low + (hashint8extended(row_number, seed) & 9223372036854775807) % (high - low + 1)'"""
    for number, name in enumerate("AFRICA AMERICA ASIA EUROPE MIDDLE_EAST".split()):
        yield "INSERT INTO region VALUES (%d, '%s', 'even ideas')" % (number, name.replace("_", " "))
    for number, name in enumerate(NATIONS.split()):
        nation, region = name.split(":")
        yield "INSERT INTO nation VALUES (%d, '%s', %s, 'final deposits')" % (number, nation.replace("_", " "), region)
    yield f"""INSERT INTO part SELECT i, {several(COLORS, "i", 10, 5)}, 'Manufacturer#' || m, 'Brand#' || m || r(i, 3, 1, 5),
 {pick("STANDARD SMALL MEDIUM LARGE ECONOMY PROMO", "i", 15)} || ' ' || {pick("ANODIZED BURNISHED PLATED POLISHED BRUSHED", "i", 16)}
 || ' ' || {pick("TIN NICKEL BRASS STEEL COPPER", "i", 17)}, r(i, 4, 1, 50),
 {pick("SM LG MED JUMBO WRAP", "i", 18)} || ' ' || {pick("CASE BOX BAG JAR PKG PACK CAN DRUM", "i", 19)},
 {price("i")}, {several(WORDS, "i", 2, 3)} FROM (SELECT i, r(i, 2, 1, 5) AS m FROM generate_series(1, {parts}) i) p"""
    yield f"""INSERT INTO supplier SELECT i, 'Supplier#' || lpad(i::text, 9, '0'), {several(WORDS, "i", 3, 2)}, n, {phone("n", "i", 32)},
 {cents("i", 35, -99999, 999999)}, {several(WORDS, "i", 4, 7)} || CASE WHEN i % 200 = 0 THEN ' Customer good Complaints'
 WHEN i % 200 = 1 THEN ' Customer good Recommends' ELSE '' END FROM (SELECT i, r(i, 31, 0, 24) AS n FROM
 generate_series(1, {suppliers}) i) s"""
    yield f"""INSERT INTO partsupp SELECT p, {supplier("p", "i")}, r(p * 4 + i, 41, 1, 9999), {cents("p * 4 + i", 42, 100, 100000)},
 {several(WORDS, "p * 4 + i", 5, 14)} FROM generate_series(1, {parts}) p, generate_series(0, 3) i"""
    yield f"""INSERT INTO customer SELECT i, 'Customer#' || lpad(i::text, 9, '0'), {several(WORDS, "i", 6, 2)}, n, {phone("n", "i", 52)},
 {cents("i", 55, -99999, 999999)}, {pick("AUTOMOBILE BUILDING FURNITURE MACHINERY HOUSEHOLD", "i", 56)}, {several(WORDS, "i", 7, 8)}
 FROM (SELECT i, r(i, 51, 0, 24) AS n FROM generate_series(1, {customers}) i) c"""
    yield f"""CREATE TABLE made AS SELECT key, custkey - (custkey % 3 = 0)::int AS custkey, date '1992-01-01' + r(key, 62, 0, 2405)::int
 AS orderdate, r(key, 63, 1, 7) AS lines FROM (SELECT (i / 8) * 32 + i % 8 + 1 AS key, r(i, 61, 1, {customers}) AS custkey FROM
 generate_series(0, {customers * 10 - 1}) i) o"""
    yield f"""INSERT INTO lineitem SELECT key, partkey, {supplier("partkey", "r(n, 79, 0, 3)")}, line, quantity, quantity *
 {price("partkey")}, r(n, 75, 0, 10)::numeric / 100, r(n, 76, 0, 8)::numeric / 100, CASE WHEN receiptdate > date '1995-06-17' THEN 'N'
 WHEN r(n, 77, 0, 1) = 0 THEN 'R' ELSE 'A' END, CASE WHEN shipdate > date '1995-06-17' THEN 'O' ELSE 'F' END, shipdate,
 orderdate + r(n, 78, 30, 90)::int, receiptdate, {pick("DELIVER_IN_PERSON COLLECT_COD NONE TAKE_BACK_RETURN", "n", 80)},
 {pick("REG_AIR AIR RAIL SHIP TRUCK MAIL FOB", "n", 81)}, {several(WORDS, "n", 8, 4)} FROM (SELECT *, shipdate + r(n, 74, 1, 30)::int
 AS receiptdate FROM (SELECT key, line, n, orderdate, r(n, 71, 1, {parts}) AS partkey, r(n, 72, 1, 50) AS quantity, orderdate + r(n, 73,
 1, 121)::int AS shipdate FROM (SELECT *, key * 8::bigint + line AS n FROM made, LATERAL generate_series(1, lines) line) a) b) c"""
    yield f"""INSERT INTO orders SELECT key, custkey, CASE WHEN bool_and(l_linestatus = 'F') THEN 'F' WHEN bool_and(l_linestatus = 'O')
 THEN 'O' ELSE 'P' END, round(sum(l_extendedprice * (1 + l_tax) * (1 - l_discount)), 2), orderdate,
 {pick("1-URGENT 2-HIGH 3-MEDIUM 4-NOT_SPECIFIED 5-LOW", "key", 93)}, 'Clerk#' || lpad(r(key, 91, 1, {max(1, int(1000 * scale))})::text,
 9, '0'), 0, {several(WORDS, "key", 9, 7)} || CASE WHEN r(key, 92, 1, 80) = 1 THEN ' special packages requests' ELSE '' END
 FROM made JOIN lineitem ON l_orderkey = key GROUP BY key, custkey, orderdate"""
    yield "DROP TABLE made"


QUERIES = {
    1: """SELECT l_returnflag, l_linestatus, sum(l_quantity) AS sum_qty, sum(l_extendedprice) AS sum_base_price,
 sum(l_extendedprice * (1 - l_discount)) AS sum_disc_price, sum(l_extendedprice * (1 - l_discount) * (1 + l_tax)) AS sum_charge,
 avg(l_quantity) AS avg_qty, avg(l_extendedprice) AS avg_price, avg(l_discount) AS avg_disc, count(*) AS count_order
 FROM lineitem WHERE l_shipdate <= date '1998-12-01' - interval '90' day GROUP BY l_returnflag, l_linestatus
 ORDER BY l_returnflag, l_linestatus""",
    2: """SELECT s_acctbal, s_name, n_name, p_partkey, p_mfgr, s_address, s_phone, s_comment FROM part, supplier, partsupp, nation, region
 WHERE p_partkey = ps_partkey AND s_suppkey = ps_suppkey AND p_size = 15 AND p_type LIKE '%BRASS' AND s_nationkey = n_nationkey
 AND n_regionkey = r_regionkey AND r_name = 'EUROPE' AND ps_supplycost = (SELECT min(ps_supplycost) FROM partsupp, supplier, nation,
 region WHERE p_partkey = ps_partkey AND s_suppkey = ps_suppkey AND s_nationkey = n_nationkey AND n_regionkey = r_regionkey
 AND r_name = 'EUROPE') ORDER BY s_acctbal DESC, n_name, s_name, p_partkey LIMIT 100""",
    3: """SELECT l_orderkey, sum(l_extendedprice * (1 - l_discount)) AS revenue, o_orderdate, o_shippriority FROM customer, orders,
 lineitem WHERE c_mktsegment = 'BUILDING' AND c_custkey = o_custkey AND l_orderkey = o_orderkey AND o_orderdate < date '1995-03-15'
 AND l_shipdate > date '1995-03-15' GROUP BY l_orderkey, o_orderdate, o_shippriority ORDER BY revenue DESC, o_orderdate LIMIT 10""",
    4: """SELECT o_orderpriority, count(*) AS order_count FROM orders WHERE o_orderdate >= date '1993-07-01' AND o_orderdate < date
 '1993-07-01' + interval '3' month AND EXISTS (SELECT * FROM lineitem WHERE l_orderkey = o_orderkey AND l_commitdate < l_receiptdate)
 GROUP BY o_orderpriority ORDER BY o_orderpriority""",
    5: """SELECT n_name, sum(l_extendedprice * (1 - l_discount)) AS revenue FROM customer, orders, lineitem, supplier, nation, region
 WHERE c_custkey = o_custkey AND l_orderkey = o_orderkey AND l_suppkey = s_suppkey AND c_nationkey = s_nationkey AND s_nationkey =
 n_nationkey AND n_regionkey = r_regionkey AND r_name = 'ASIA' AND o_orderdate >= date '1994-01-01' AND o_orderdate < date
 '1994-01-01' + interval '1' year GROUP BY n_name ORDER BY revenue DESC""",
    6: """SELECT sum(l_extendedprice * l_discount) AS revenue FROM lineitem WHERE l_shipdate >= date '1994-01-01' AND l_shipdate < date
 '1994-01-01' + interval '1' year AND l_discount BETWEEN 0.06 - 0.01 AND 0.06 + 0.01 AND l_quantity < 24""",
    7: """SELECT supp_nation, cust_nation, l_year, sum(volume) AS revenue FROM (SELECT n1.n_name AS supp_nation, n2.n_name AS
 cust_nation, extract(year FROM l_shipdate) AS l_year, l_extendedprice * (1 - l_discount) AS volume FROM supplier, lineitem, orders,
 customer, nation n1, nation n2 WHERE s_suppkey = l_suppkey AND o_orderkey = l_orderkey AND c_custkey = o_custkey AND s_nationkey =
 n1.n_nationkey AND c_nationkey = n2.n_nationkey AND ((n1.n_name = 'FRANCE' AND n2.n_name = 'GERMANY') OR (n1.n_name = 'GERMANY' AND
 n2.n_name = 'FRANCE')) AND l_shipdate BETWEEN date '1995-01-01' AND date '1996-12-31') AS shipping GROUP BY supp_nation, cust_nation,
 l_year ORDER BY supp_nation, cust_nation, l_year""",
    8: """SELECT o_year, sum(CASE WHEN nation = 'BRAZIL' THEN volume ELSE 0 END) / sum(volume) AS mkt_share FROM (SELECT extract(year
 FROM o_orderdate) AS o_year, l_extendedprice * (1 - l_discount) AS volume, n2.n_name AS nation FROM part, supplier, lineitem, orders,
 customer, nation n1, nation n2, region WHERE p_partkey = l_partkey AND s_suppkey = l_suppkey AND l_orderkey = o_orderkey AND o_custkey =
 c_custkey AND c_nationkey = n1.n_nationkey AND n1.n_regionkey = r_regionkey AND r_name = 'AMERICA' AND s_nationkey = n2.n_nationkey AND
 o_orderdate BETWEEN date '1995-01-01' AND date '1996-12-31' AND p_type = 'ECONOMY ANODIZED STEEL') AS all_nations GROUP BY o_year
 ORDER BY o_year""",
    9: """SELECT nation, o_year, sum(amount) AS sum_profit FROM (SELECT n_name AS nation, extract(year FROM o_orderdate) AS o_year,
 l_extendedprice * (1 - l_discount) - ps_supplycost * l_quantity AS amount FROM part, supplier, lineitem, partsupp, orders, nation WHERE
 s_suppkey = l_suppkey AND ps_suppkey = l_suppkey AND ps_partkey = l_partkey AND p_partkey = l_partkey AND o_orderkey = l_orderkey AND
 s_nationkey = n_nationkey AND p_name LIKE '%green%') AS profit GROUP BY nation, o_year ORDER BY nation, o_year DESC""",
    10: """SELECT c_custkey, c_name, sum(l_extendedprice * (1 - l_discount)) AS revenue, c_acctbal, n_name, c_address, c_phone, c_comment
 FROM customer, orders, lineitem, nation WHERE c_custkey = o_custkey AND l_orderkey = o_orderkey AND o_orderdate >= date '1993-10-01' AND
 o_orderdate < date '1993-10-01' + interval '3' month AND l_returnflag = 'R' AND c_nationkey = n_nationkey GROUP BY c_custkey, c_name,
 c_acctbal, c_phone, n_name, c_address, c_comment ORDER BY revenue DESC LIMIT 20""",
    11: """SELECT ps_partkey, sum(ps_supplycost * ps_availqty) AS value FROM partsupp, supplier, nation WHERE ps_suppkey = s_suppkey AND
 s_nationkey = n_nationkey AND n_name = 'GERMANY' GROUP BY ps_partkey HAVING sum(ps_supplycost * ps_availqty) > (SELECT
 sum(ps_supplycost * ps_availqty) * 0.001 FROM partsupp, supplier, nation WHERE ps_suppkey = s_suppkey AND s_nationkey = n_nationkey AND
 n_name = 'GERMANY') ORDER BY value DESC""",
    12: """SELECT l_shipmode, sum(CASE WHEN o_orderpriority = '1-URGENT' OR o_orderpriority = '2-HIGH' THEN 1 ELSE 0 END) AS
 high_line_count, sum(CASE WHEN o_orderpriority <> '1-URGENT' AND o_orderpriority <> '2-HIGH' THEN 1 ELSE 0 END) AS low_line_count FROM
 orders, lineitem WHERE o_orderkey = l_orderkey AND l_shipmode IN ('MAIL', 'SHIP') AND l_commitdate < l_receiptdate AND l_shipdate <
 l_commitdate AND l_receiptdate >= date '1994-01-01' AND l_receiptdate < date '1994-01-01' + interval '1' year GROUP BY l_shipmode ORDER
 BY l_shipmode""",
    13: """SELECT c_count, count(*) AS custdist FROM (SELECT c_custkey, count(o_orderkey) FROM customer LEFT OUTER JOIN orders ON c_custkey
 = o_custkey AND o_comment NOT LIKE '%special%requests%' GROUP BY c_custkey) AS c_orders (c_custkey, c_count) GROUP BY c_count ORDER BY
 custdist DESC, c_count DESC""",
    14: """SELECT 100.00 * sum(CASE WHEN p_type LIKE 'PROMO%' THEN l_extendedprice * (1 - l_discount) ELSE 0 END) / sum(l_extendedprice *
 (1 - l_discount)) AS promo_revenue FROM lineitem, part WHERE l_partkey = p_partkey AND l_shipdate >= date '1995-09-01' AND l_shipdate <
 date '1995-09-01' + interval '1' month""",
    15: """WITH revenue (supplier_no, total_revenue) AS (SELECT l_suppkey, sum(l_extendedprice * (1 - l_discount)) FROM lineitem WHERE
 l_shipdate >= date '1996-01-01' AND l_shipdate < date '1996-01-01' + interval '3' month GROUP BY l_suppkey) SELECT s_suppkey, s_name,
 s_address, s_phone, total_revenue FROM supplier, revenue WHERE s_suppkey = supplier_no AND total_revenue = (SELECT max(total_revenue)
 FROM revenue) ORDER BY s_suppkey""",
    16: """SELECT p_brand, p_type, p_size, count(DISTINCT ps_suppkey) AS supplier_cnt FROM partsupp, part WHERE p_partkey = ps_partkey AND
 p_brand <> 'Brand#45' AND p_type NOT LIKE 'MEDIUM POLISHED%' AND p_size IN (49, 14, 23, 45, 19, 3, 36, 9) AND ps_suppkey NOT IN (SELECT
 s_suppkey FROM supplier WHERE s_comment LIKE '%Customer%Complaints%') GROUP BY p_brand, p_type, p_size ORDER BY supplier_cnt DESC,
 p_brand, p_type, p_size""",
    17: """SELECT sum(l_extendedprice) / 7.0 AS avg_yearly FROM lineitem, part WHERE p_partkey = l_partkey AND p_brand = 'Brand#23' AND
 p_container = 'MED BOX' AND l_quantity < (SELECT 0.2 * avg(l_quantity) FROM lineitem WHERE l_partkey = p_partkey)""",
    18: """SELECT c_name, c_custkey, o_orderkey, o_orderdate, o_totalprice, sum(l_quantity) FROM customer, orders, lineitem WHERE o_orderkey
 IN (SELECT l_orderkey FROM lineitem GROUP BY l_orderkey HAVING sum(l_quantity) > 300) AND c_custkey = o_custkey AND o_orderkey =
 l_orderkey GROUP BY c_name, c_custkey, o_orderkey, o_orderdate, o_totalprice ORDER BY o_totalprice DESC, o_orderdate LIMIT 100""",
    19: """SELECT sum(l_extendedprice * (1 - l_discount)) AS revenue FROM lineitem, part WHERE (p_partkey = l_partkey AND p_brand =
 'Brand#12' AND p_container IN ('SM CASE', 'SM BOX', 'SM PACK', 'SM PKG') AND l_quantity >= 1 AND l_quantity <= 11 AND p_size BETWEEN 1 AND
 5 AND l_shipmode IN ('AIR', 'AIR REG') AND l_shipinstruct = 'DELIVER IN PERSON') OR (p_partkey = l_partkey AND p_brand = 'Brand#23' AND
 p_container IN ('MED BAG', 'MED BOX', 'MED PKG', 'MED PACK') AND l_quantity >= 10 AND l_quantity <= 20 AND p_size BETWEEN 1 AND 10 AND
 l_shipmode IN ('AIR', 'AIR REG') AND l_shipinstruct = 'DELIVER IN PERSON') OR (p_partkey = l_partkey AND p_brand = 'Brand#34' AND
 p_container IN ('LG CASE', 'LG BOX', 'LG PACK', 'LG PKG') AND l_quantity >= 20 AND l_quantity <= 30 AND p_size BETWEEN 1 AND 15 AND
 l_shipmode IN ('AIR', 'AIR REG') AND l_shipinstruct = 'DELIVER IN PERSON')""",
    20: """SELECT s_name, s_address FROM supplier, nation WHERE s_suppkey IN (SELECT ps_suppkey FROM partsupp WHERE ps_partkey IN (SELECT
 p_partkey FROM part WHERE p_name LIKE 'forest%') AND ps_availqty > (SELECT 0.5 * sum(l_quantity) FROM lineitem WHERE l_partkey =
 ps_partkey AND l_suppkey = ps_suppkey AND l_shipdate >= date '1994-01-01' AND l_shipdate < date '1994-01-01' + interval '1' year)) AND
 s_nationkey = n_nationkey AND n_name = 'CANADA' ORDER BY s_name""",
    21: """SELECT s_name, count(*) AS numwait FROM supplier, lineitem l1, orders, nation WHERE s_suppkey = l1.l_suppkey AND o_orderkey =
 l1.l_orderkey AND o_orderstatus = 'F' AND l1.l_receiptdate > l1.l_commitdate AND EXISTS (SELECT * FROM lineitem l2 WHERE l2.l_orderkey =
 l1.l_orderkey AND l2.l_suppkey <> l1.l_suppkey) AND NOT EXISTS (SELECT * FROM lineitem l3 WHERE l3.l_orderkey = l1.l_orderkey AND
 l3.l_suppkey <> l1.l_suppkey AND l3.l_receiptdate > l3.l_commitdate) AND s_nationkey = n_nationkey AND n_name = 'SAUDI ARABIA' GROUP BY
 s_name ORDER BY numwait DESC, s_name LIMIT 100""",
    22: """SELECT cntrycode, count(*) AS numcust, sum(c_acctbal) AS totacctbal FROM (SELECT substring(c_phone FROM 1 FOR 2) AS cntrycode,
 c_acctbal FROM customer WHERE substring(c_phone FROM 1 FOR 2) IN ('13', '31', '23', '29', '30', '18', '17') AND c_acctbal > (SELECT
 avg(c_acctbal) FROM customer WHERE c_acctbal > 0.00 AND substring(c_phone FROM 1 FOR 2) IN ('13', '31', '23', '29', '30', '18', '17'))
 AND NOT EXISTS (SELECT * FROM orders WHERE o_custkey = c_custkey)) AS custsale GROUP BY cntrycode ORDER BY cntrycode""",
}
