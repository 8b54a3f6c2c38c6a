#!/usr/bin/python3
"""Writes avro_cases.txt: records encoded by Apache Avro's own Python library (Debian: python3-avro), and the rows that they are.

A line: schema, columns, bytes in hexadecimal, the row in PostgreSQL's text; blanks between are tabs."""
import datetime
import decimal
import io
import json
import random
import struct
import uuid
import warnings

import avro.io
import avro.schema

warnings.simplefilter('ignore')  # local timestamps are not known there

decimal.getcontext().prec = 400
rnd = random.Random(1)
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)


def text(n=None):
    letters = 'abcdefghijklmnopqrstuvwxyzÄß€𝄞0123456789'
    return ''.join(rnd.choice(letters) for _ in range(rnd.choice([0, 1, 5, 12, 13, 40]) if n is None else n))


def integer(bits):
    b = rnd.choice([1, 7, 8, 14, 15, bits - 1])
    value = rnd.getrandbits(b)
    return rnd.choice([value, -value, -value - 1, 2 ** (bits - 1) - 1, -2 ** (bits - 1)])


def stamp(micros):
    t = EPOCH + datetime.timedelta(microseconds=micros)
    out = t.strftime('%Y-%m-%d %H:%M:%S').zfill(19)
    if t.microsecond:
        out += ('.%06d' % t.microsecond).rstrip('0')
    return out


def clock(t):
    out = t.strftime('%H:%M:%S')
    return out + (('.%06d' % t.microsecond).rstrip('0') if t.microsecond else '')


def double(f4=False):
    value = rnd.choice([0.0, 1.5, -2.25, 1e10, 3.0, 0.1, 123456.789, -1e-5])
    if f4:
        value = struct.unpack('<f', struct.pack('<f', rnd.choice([0.0, 1.5, -2.25, 3.0, 1024.5])))[0]
    return value


def number(value):
    out = repr(value)
    if out.endswith('.0'):
        out = out[:-2]
    if 'e' in out:
        mantissa, exponent = out.split('e')
        out = '%se%s%02d' % (mantissa, '-' if exponent.startswith('-') else '+', abs(int(exponent)))
    if out == '10000000000':
        out = '10000000000'
    return out


def scalar():
    """schema, SQL type, value to be written, its text, its JSON text."""
    kind = rnd.randrange(19)
    if kind == 0:
        v = rnd.random() < .5
        return 'boolean', 'boolean', v, 't' if v else 'f', json.dumps(v)
    if kind == 1:
        v = integer(32)
        return 'int', rnd.choice(['integer', 'bigint', 'numeric', 'text']), v, str(v), str(v)
    if kind == 2:
        v = integer(64)
        return 'long', rnd.choice(['bigint', 'numeric', 'text']), v, str(v), str(v)
    if kind == 3:
        v = double(True)
        return 'float', 'real', v, number(v), number(v)
    if kind == 4:
        v = double()
        return 'double', 'float8', v, number(v), number(v)
    if kind == 5:
        v = rnd.randbytes(rnd.choice([0, 1, 12, 13, 300]))
        return 'bytes', 'bytea', v, '\\x' + v.hex(), '"\\\\x' + v.hex() + '"'
    if kind in (6, 7):
        v = text()
        return 'string', rnd.choice(['text', 'varchar', 'varchar(50)']), v, v, json.dumps(v, ensure_ascii=False)
    if kind == 8:
        symbols = ['RED', 'GREEN', 'BLUE_IS_A_LONG_SYMBOL']
        v = rnd.choice(symbols)
        return {'type': 'enum', 'name': unique('E'), 'symbols': symbols}, 'text', v, v, '"' + v + '"'
    if kind == 9:
        n = rnd.choice([1, 4, 16])
        v = rnd.randbytes(n)
        return {'type': 'fixed', 'name': unique('F'), 'size': n}, 'bytea', v, '\\x' + v.hex(), '"\\\\x' + v.hex() + '"'
    if kind in (10, 11):
        precision = rnd.choice([4, 9, 18, 30, 60])
        scale = rnd.randrange(0, precision)
        unscaled = rnd.randrange(-10 ** precision + 1, 10 ** precision)
        v = decimal.Decimal(unscaled).scaleb(-scale)
        out = format(v, 'f')
        if out.startswith('-0') and not v:
            out = out[1:]
        schema = {'type': 'bytes', 'logicalType': 'decimal', 'precision': precision, 'scale': scale}
        if kind == 11:
            schema.update(type='fixed', name=unique('D'), size=30)
        return schema, rnd.choice(['numeric', 'numeric(%d,%d)' % (precision, scale), 'text']), v, out, out
    if kind == 12:
        v = datetime.date(1, 1, 1) + datetime.timedelta(days=rnd.randrange(0, 3000000))
        return {'type': 'int', 'logicalType': 'date'}, 'date', v, v.isoformat(), '"' + v.isoformat() + '"'
    if kind in (13, 14):
        millis = kind == 13
        us = rnd.randrange(0, 86400000000)
        us -= us % 1000 if millis else 0
        v = (datetime.datetime(2000, 1, 1) + datetime.timedelta(microseconds=us)).time()
        return ({'type': 'int' if millis else 'long', 'logicalType': 'time-millis' if millis else 'time-micros'}, 'time', v,
                clock(v), '"' + clock(v) + '"')
    if kind in (15, 16):
        millis = kind == 15
        us = rnd.randrange(-62135596800000000, 253402300799000000)
        us -= us % 1000 if millis else 0
        v = EPOCH + datetime.timedelta(microseconds=us)
        out = stamp(us)
        return ({'type': 'long', 'logicalType': 'timestamp-millis' if millis else 'timestamp-micros'}, 'timestamptz', v,
                out + '+00', '"' + out.replace(' ', 'T') + '+00:00"')
    if kind == 17:
        unit = rnd.choice(['millis', 'micros'])
        us = rnd.randrange(-62135596800000000, 253402300799000000)
        us -= us % 1000 if unit == 'millis' else 0
        out = stamp(us)
        return ({'type': 'long', 'logicalType': 'local-timestamp-' + unit}, 'timestamp',
                us // 1000 if unit == 'millis' else us, out, '"' + out.replace(' ', 'T') + '"')
    v = uuid.UUID(int=rnd.getrandbits(128))
    return {'type': 'string', 'logicalType': 'uuid'}, rnd.choice(['uuid', 'text']), str(v), str(v), '"' + str(v) + '"'


names = 0


def unique(prefix):
    global names
    names += 1
    return prefix + str(names)


def key_order(item):
    name = item[0].encode()
    return len(name), name


def json_object(members):
    return '{' + ', '.join(json.dumps(k, ensure_ascii=False) + ': ' + v for k, v in sorted(members, key=key_order)) + '}'


def value(depth=0):
    """Any type: schema, value, JSON text."""
    kind = rnd.randrange(8)
    if depth > 2 or kind < 4:
        schema, _, v, _, js = scalar()
        return schema, v, js
    if kind == 4:
        schema, v, js = value(depth + 1)
        count = rnd.choice([0, 1, 3])
        return {'type': 'array', 'items': schema}, [v] * count, '[' + ', '.join([js] * count) + ']'
    if kind == 5:
        schema, v, js = value(depth + 1)
        keys = ['k' + text() for _ in range(rnd.choice([0, 1, 3]))]
        keys = list(dict.fromkeys(keys))
        return {'type': 'map', 'values': schema}, {k: v for k in keys}, json_object([(k, js) for k in keys])
    if kind == 6:
        schema, v, js = value(depth + 1)
        while isinstance(schema, list) or is_uuid(schema):
            schema, v, js = value(depth + 1)
        if rnd.random() < .4:
            v, js = None, 'null'
        return (['null', schema] if rnd.random() < .5 else [schema, 'null']), v, js
    fields, members, v = [], [], {}
    for _ in range(rnd.choice([1, 2, 4])):
        schema, fv, js = value(depth + 1)
        name = unique('m')
        fields.append({'name': name, 'type': schema})
        members.append((name, js))
        v[name] = fv
    return {'type': 'record', 'name': unique('R'), 'fields': fields}, v, json_object(members)


def is_uuid(schema):
    """Which that library cannot write in a union."""
    return isinstance(schema, dict) and schema.get('logicalType') == 'uuid'


def field(columns, row):
    """A field, some with columns: its schema and value. Appends to columns and row."""
    name = unique('c')
    kind = rnd.randrange(10)
    if kind < 5:
        schema, sql, v, out, _ = scalar()
        if rnd.random() < .4 and not is_uuid(schema):
            schema = ['null', schema] if rnd.random() < .5 else [schema, 'null']
            if rnd.random() < .4:
                v, out = None, '\\N'
        if rnd.random() < .8:
            columns.append((name, sql, ''))
            row.append(out)
        return name, schema, v
    if kind < 7:
        schema, v, js = value()
        if rnd.random() < .7 and not isinstance(schema, (str,)):
            kind_of = schema.get('type') if isinstance(schema, dict) else None
            if kind_of in ('array', 'map', 'record'):
                columns.append((name, 'jsonb', ''))
                row.append(js)
        return name, schema, v
    if kind == 7:
        schema, sql, v, out, _ = scalar()
        if sql in ('bytea', 'numeric', 'text', 'varchar', 'varchar(50)') or 'numeric' in sql:
            schema, sql, v, out = 'long', 'bigint', 7, '7'
        count = rnd.choice([0, 1, 4])
        nullable = rnd.random() < .5 and not is_uuid(schema)
        values, outs = [v] * count, [out] * count
        if nullable and count > 1:
            values[1], outs[1] = None, 'NULL'
        columns.append((name, sql + '[]', ''))
        if ' ' in out:
            outs = [o if o == 'NULL' else '"' + o + '"' for o in outs]
        row.append('{' + ','.join(outs) + '}')
        return name, {'type': 'array', 'items': ['null', schema] if nullable else schema}, values
    # a record of which paths take parts
    inner = []
    inner_row = []
    fields = [field(inner, inner_row) for _ in range(rnd.choice([1, 3]))]
    v = {n: x for n, _, x in fields}
    schema = {'type': 'record', 'name': unique('R'), 'fields': [{'name': n, 'type': s} for n, s, _ in fields]}
    gone = False
    if rnd.random() < .4:
        schema = ['null', schema]
        gone = rnd.random() < .3
    for (n, sql, path), out in zip(inner, inner_row):
        columns.append((n, sql, name + '.' + (path or n)))
        row.append('\\N' if gone else out)
    return name, schema, None if gone else v


def item(out):
    """As batch_to_text writes it."""
    if out == '\\N' or (out and out[0] != '"' and not any(c in out for c in ' \t\n\r')):
        return out
    return '"' + out.replace('\\', '\\\\').replace('"', '\\"') + '"'


def main():
    lines = []
    while len(lines) < 200:
        columns, row = [], []
        fields = [field(columns, row) for _ in range(rnd.choice([1, 2, 5, 9]))]
        if not columns or len(columns) > 60 or any('\t' in r or '\n' in r for r in row):
            continue
        schema = {'type': 'record', 'name': 'T' + str(len(lines)), 'namespace': 'a.b',
                  'fields': [{'name': n, 'type': s} for n, s, _ in fields]}
        parsed = avro.schema.parse(json.dumps(schema))
        out = io.BytesIO()
        avro.io.DatumWriter(parsed).write({n: v for n, _, v in fields}, avro.io.BinaryEncoder(out))
        spec = '; '.join(' '.join(part for part in column if part) for column in columns)
        lines.append('\t'.join([json.dumps(schema), spec, out.getvalue().hex(), ' '.join(['+'] + [item(r) for r in row])]))
    with open(__file__.replace('.py', '.txt'), 'w', encoding='utf-8') as file:
        file.write('\n'.join(lines) + '\n')


main()
