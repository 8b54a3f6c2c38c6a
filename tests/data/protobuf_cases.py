#!/usr/bin/python3
"""Writes protobuf_cases.txt: messages of protobuf_cases.proto, encoded by Google's own Python library (Debian: python3-protobuf,
protobuf-compiler), and the rows that they are.

A line: columns, bytes in hexadecimal, the row in PostgreSQL's text; blanks between are tabs."""
import datetime
import json
import os
import random
import struct
import subprocess
import tempfile

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

here = os.path.dirname(os.path.abspath(__file__))
rnd = random.Random(2)
with tempfile.NamedTemporaryFile() as out:
    subprocess.check_call(['protoc', '-I', here, '--include_imports', '-o', out.name, here + '/protobuf_cases.proto'])
    files = descriptor_pb2.FileDescriptorSet.FromString(open(out.name, 'rb').read())
pool = descriptor_pool.DescriptorPool()
for file in files.file:
    pool.Add(file)
factory = message_factory.MessageFactory(pool)
All = factory.GetPrototype(pool.FindMessageTypeByName('cases.All'))
EPOCH = datetime.datetime(1970, 1, 1)


def item(out):
    """As batch_to_text writes it."""
    if out == '\\N' or (out and out[0] != '"' and not any(c in out for c in ' \t\n\r')):
        return out
    return '"' + out.replace('\\', '\\\\').replace('"', '\\"') + '"'


def text():
    return ''.join(rnd.choice('abcdefgÄ€𝄞xyz') for _ in range(rnd.choice([0, 1, 5, 12, 13, 40])))


def signed(bits):
    return rnd.choice([0, 1, -1, rnd.getrandbits(bits - 1), -rnd.getrandbits(bits - 1), 2 ** (bits - 1) - 1, -2 ** (bits - 1)])


def unsigned(bits):
    return rnd.choice([0, 1, rnd.getrandbits(bits), 2 ** bits - 1])


def number(value):
    out = repr(value)
    return out[:-2] if out.endswith('.0') else out


def quote(value):
    return json.dumps(value, ensure_ascii=False)


def members(pairs):
    pairs = dict(pairs)
    return '{' + ', '.join(quote(k) + ': ' + v for k, v in sorted(pairs.items(), key=lambda p: (len(p[0].encode()), p[0].encode()))) + '}'


def fill_inner(inner, depth=0):
    """Fills a message and says what its JSON is."""
    out = []
    inner.name = text()
    out.append(('name', quote(inner.name)))
    if rnd.random() < .6:
        inner.level = signed(32)
        out.append(('level', str(inner.level)))
    if depth < 3 and rnd.random() < .4:
        out.append(('next', fill_inner(inner.next, depth + 1)))
    elif rnd.random() < .2:
        inner.next.SetInParent()
        out.append(('next', '{"name": "", "tags": []}'))
    tags = [text() for _ in range(rnd.choice([0, 0, 2]))]
    inner.tags.extend(tags)
    out.append(('tags', '[' + ', '.join(map(quote, tags)) + ']'))
    return members(out)


def stamp(us):
    t = EPOCH + datetime.timedelta(microseconds=us)
    out = t.strftime('%Y-%m-%d %H:%M:%S').zfill(19)
    return out + (('.%06d' % t.microsecond).rstrip('0') if t.microsecond else '') + '+00'


def seconds(us):
    """An interval below a day."""
    sign = '-' if us < 0 else ''
    us = abs(us)
    out = '%s%02d:%02d:%02d' % (sign, us // 3600000000, us // 60000000 % 60, us // 1000000 % 60)
    return out + (('.%06d' % (us % 1000000)).rstrip('0') if us % 1000000 else '')


def case():
    m = All()
    row = {}

    def put(name, sql, value, out, path=''):
        if value is not None:
            setattr(m, name, value)
        row[name] = (sql, path, out)

    def maybe(value, absent):
        return value if rnd.random() < .7 else absent

    v = rnd.random() < .5
    put('b', 'boolean', v, 't' if v else 'f')
    for name, bits, sql in (('i32', 32, 'integer'), ('s32', 32, 'bigint'), ('sf32', 32, 'numeric'), ('i64', 64, 'bigint'),
                            ('s64', 64, 'text'), ('sf64', 64, 'numeric')):
        v = signed(bits)
        put(name, sql, v, str(v))
    for name, bits, sql in (('u32', 32, 'bigint'), ('f32', 32, 'text'), ('u64', 64, 'numeric'), ('f64', 64, 'numeric(20,0)')):
        v = unsigned(bits)
        put(name, sql, v, str(v))
    v = struct.unpack('<f', struct.pack('<f', rnd.choice([0.0, 1.5, -2.25, 1024.5])))[0]
    put('fl', 'real', v, number(v))
    v = rnd.choice([0.0, 0.1, -123456.789])
    put('db', 'float8', v, number(v))
    v = text()
    put('text', 'text', v, v)
    v = rnd.randbytes(rnd.choice([0, 1, 13]))
    put('raw', 'bytea', v, '\\x' + v.hex())
    v = rnd.choice([0, 1, 5, -2, 77])
    put('color', 'text', v, {0: 'NONE', 1: 'RED', 5: 'GREEN', -2: 'BACK', 77: '77'}[v])
    v = maybe(signed(64), None)
    put('maybe', 'bigint', v, '\\N' if v is None else str(v))
    v = maybe(text(), None)
    put('maybe_text', 'text', v, '\\N' if v is None else v)
    out = '\\N'
    if rnd.random() < .7:
        out = fill_inner(m.inner)
    row['inner'] = ('jsonb', '', out)
    row['inner_name'] = ('text', 'inner.name', m.inner.name if out != '\\N' else '\\N')
    row['inner_level'] = ('int', 'inner.level', str(m.inner.level) if m.inner.HasField('level') else '\\N')
    has_next = m.HasField('inner') and m.inner.HasField('next')
    row['next_name'] = ('text', 'inner.next.name', m.inner.next.name if has_next else '\\N')
    row['next_tags'] = ('text[]', 'inner.next.tags', None)
    tags = list(m.inner.next.tags)
    row['next_tags'] = ('text[]', 'inner.next.tags', '{' + ','.join(t if t else '""' for t in tags) + '}' if has_next else '\\N')
    numbers = [signed(32) for _ in range(rnd.choice([0, 1, 5]))]
    m.numbers.extend(numbers)
    row['numbers'] = (rnd.choice(['int[]', 'bigint[]', 'jsonb']), '', None)
    row['numbers'] = (row['numbers'][0], '', ('[' + ', '.join(map(str, numbers)) + ']') if row['numbers'][0] == 'jsonb' else
                      '{' + ','.join(map(str, numbers)) + '}')
    numbers = [signed(64) for _ in range(rnd.choice([0, 1, 5]))]
    m.unpacked.extend(numbers)
    row['unpacked'] = ('bigint[]', '', '{' + ','.join(map(str, numbers)) + '}')
    words = [text() for _ in range(rnd.choice([0, 1, 3]))]
    m.words.extend(words)
    row['words'] = ('text[]', '', '{' + ','.join(w if w else '""' for w in words) + '}')
    row['inners'] = ('jsonb', '', '[' + ', '.join(fill_inner(m.inners.add()) for _ in range(rnd.choice([0, 2]))) + ']')
    counts = {text() + 'k': signed(32) for _ in range(rnd.choice([0, 1, 3]))}
    m.counts.update(counts)
    row['counts'] = ('jsonb', '', members((k, str(v)) for k, v in counts.items()))
    keys = {signed(32) for _ in range(rnd.choice([0, 2]))}
    row['by_number'] = ('jsonb', '', members([(str(k), fill_inner(m.by_number[k])) for k in sorted(keys)]))
    choice = rnd.choice([None, 'left', 'right', 'both'])
    row['left'] = row['right'] = row['both_name'] = None
    row['left'] = ('text', '', '\\N')
    row['right'] = ('int', '', '\\N')
    row['both_name'] = ('text', 'both.name', '\\N')
    if choice == 'left':
        put('left', 'text', 'l', 'l')
    elif choice == 'right':
        put('right', 'int', 0, '0')
    elif choice == 'both':
        fill_inner(m.both)
        row['both_name'] = ('text', 'both.name', m.both.name)
    us = rnd.randrange(-62135596800000000, 253402300799000000)
    out = '\\N'
    if rnd.random() < .7:
        m.at.seconds, m.at.nanos = us // 1000000, us % 1000000 * 1000
        out = stamp(us)
    row['at'] = ('timestamptz', '', out)
    us = rnd.randrange(-86400000000, 86400000000)
    out = '\\N'
    if rnd.random() < .7:
        sign = -1 if us < 0 else 1
        m.took.seconds, m.took.nanos = sign * (abs(us) // 1000000), sign * (abs(us) % 1000000 * 1000)
        out = seconds(us)
    row['took'] = ('interval', '', out)
    v = maybe(signed(64), None)
    if v is not None:
        m.wrapped.value = v
        m.wrapped.SetInParent()
    row['wrapped'] = ('bigint', '', '\\N' if v is None else str(v))
    v = maybe(text(), None)
    if v is not None:
        m.wrapped_text.value = v
        m.wrapped_text.SetInParent()
    row['wrapped_text'] = ('text', '', '\\N' if v is None else v)
    out = '\\N'
    if rnd.random() < .6:
        m.anything.update({'a': 1.5, 'bb': None, 'c': [True, 'x', {}], 'd': {'e': ''}})
        out = '{"a": 1.5, "c": [true, "x", {}], "d": {"e": ""}, "bb": null}'
    row['anything'] = ('jsonb', '', out)
    times = [rnd.randrange(0, 2000000000) for _ in range(rnd.choice([0, 2]))]
    for t in times:
        m.times.add().seconds = t
    row['times'] = ('timestamptz[]', '', '{' + ','.join('"' + stamp(t * 1000000) + '"' for t in times) + '}')
    doubles = [rnd.choice([0.5, -1.25, 3.0]) for _ in range(rnd.choice([0, 3]))]
    m.doubles.extend(doubles)
    row['doubles'] = ('float8[]', '', '{' + ','.join(map(number, doubles)) + '}')
    colors = [rnd.choice([0, 1, 5]) for _ in range(rnd.choice([0, 3]))]
    m.colors.extend(colors)
    row['colors'] = ('text[]', '', '{' + ','.join({0: 'NONE', 1: 'RED', 5: 'GREEN'}[c] for c in colors) + '}')
    v = signed(32)
    put('far', 'int', v, str(v))
    names = [n for n in row if rnd.random() < .8] or ['b']
    rnd.shuffle(names)
    columns = '; '.join(' '.join(p for p in (n, row[n][0], row[n][1]) if p) for n in names)
    return '\t'.join([columns, m.SerializeToString().hex(), ' '.join(['+'] + [item(row[n][2]) for n in names])])


with open(here + '/protobuf_cases.txt', 'w', encoding='utf-8') as file:
    file.write('\n'.join(case() for _ in range(150)) + '\n')
