// Reads Iceberg tables with icebird, straight from the bucket's folder, and prints every row.
//
// Standard input: one JSON document {"metadata": "file:///…metadata.json", "snapshot": 123} a line; without a
// snapshot the current one is read. Standard output: one document a line, {"rows": [[cell, …], …],
// "columns": […]} or {"error": "…"}. A cell is null, true, false or [kind, value]: "i" integer and "n"
// number as text, "s" string, "b" bytes in hex, "l" list, "o" object. {"parquet": "file:///…"} is answered with
// the rows of one file, its count, its field ids by path and its key-value metadata.

import fs from 'node:fs/promises'
import readline from 'node:readline'
import path from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

const modules = path.resolve(process.env.TARN_NODE_MODULES)
const load = name => import(pathToFileURL(path.join(modules, name)).href)

// The reader fetches; here is a fetch for files, with ranges as a bucket gives them.
async function fetchFile(url, { method = 'GET', headers } = {}) {
  const body = await fs.readFile(fileURLToPath(url)).catch(() => undefined)
  if (!body) return new Response(null, { status: 404, statusText: `no ${url}` })
  if (method === 'HEAD') return new Response(null, { headers: { 'Content-Length': String(body.length) } })
  const range = /^bytes=(\d+)-(\d*)$/.exec(new Headers(headers).get('Range') ?? '')
  if (!range) return new Response(body)
  const end = range[2] === '' ? body.length : Number(range[2]) + 1
  return new Response(body.subarray(Number(range[1]), end), { status: 206 })
}

const remoteFetch = globalThis.fetch
globalThis.fetch = (url, init) => String(url).startsWith('file://') ? fetchFile(url, init) : remoteFetch(url, init)

const { icebergRead } = await load('icebird/src/index.js')
const { asyncBufferFromUrl, parquetMetadataAsync, parquetReadObjects, parquetSchema } = await load('hyparquet/src/index.js')
const { compressors } = await load('hyparquet-compressors/src/index.js')
const { DEFAULT_PARSERS } = await load('hyparquet/src/convert.js')

// Nothing is rounded to milliseconds, and bytes that are no text stay bytes.
const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
Object.assign(DEFAULT_PARSERS, {
  timestampFromMicroseconds: micros => micros,
  dateFromDays: days => days,
  stringFromBytes(bytes) {
    try {
      return bytes && text.decode(bytes)
    } catch {
      return new Uint8Array(bytes)
    }
  },
})

function number(n) {
  return Object.is(n, -0) ? '-0.0' : String(n)
}

function cell(v) {
  if (v === undefined || v === null) return null
  switch (typeof v) {
  case 'boolean': return v
  case 'bigint': return ['i', String(v)]
  case 'number': return ['n', number(v)]
  case 'string': return ['s', v]
  }
  if (v instanceof Uint8Array) return ['b', Buffer.from(v).toString('hex')]
  if (Array.isArray(v)) return ['l', v.map(cell)]
  return ['o', Object.fromEntries(Object.entries(v).map(([k, x]) => [k, cell(x)]))]
}

async function read({ metadata: url, snapshot }) {
  const metadata = JSON.parse(await fs.readFile(fileURLToPath(url), 'utf8'))
  if (snapshot !== undefined) {
    const found = metadata.snapshots.find(s => s['snapshot-id'] === snapshot)
    if (!found) throw new Error(`no snapshot ${snapshot}`)
    metadata['current-snapshot-id'] = snapshot
    metadata['current-schema-id'] = found['schema-id']
  }
  const schema = metadata.schemas.find(s => s['schema-id'] === metadata['current-schema-id'])
  const columns = schema.fields.map(f => f.name)
  let rows = []
  try {
    rows = await icebergRead({ tableUrl: metadata.location, metadata })
  } catch (e) {
    // A table without rows is an error to this reader.
    if (!/No current snapshot id|No data manifest files/.test(e.message)) throw e
  }
  return { columns, rows: rows.map(row => columns.map(c => cell(row[c]))) }
}

async function parquet({ parquet: url }) {
  const file = await asyncBufferFromUrl({ url })
  const metadata = await parquetMetadataAsync(file)
  const ids = {}
  const walk = node => {
    if (node.path.length) ids[node.path.join('.')] = node.element.field_id ?? null
    node.children.forEach(walk)
  }
  walk(parquetSchema(metadata))
  const columns = parquetSchema(metadata).children.map(c => c.element.name)
  const rows = await parquetReadObjects({ file, metadata, compressors })
  const pairs = Object.fromEntries((metadata.key_value_metadata ?? []).map(p => [p.key, p.value]))
  return { count: Number(metadata.num_rows), ids, pairs, columns, rows: rows.map(row => columns.map(c => cell(row[c]))) }
}

const job = request => request.parquet ? parquet(request) : read(request)

for await (const line of readline.createInterface({ input: process.stdin })) {
  const answer = await job(JSON.parse(line)).catch(e => ({ error: String(e.stack) }))
  process.stdout.write(JSON.stringify(answer) + '\n')
}
