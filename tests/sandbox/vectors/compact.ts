/**
 * Writes the compact form of recorded files: only what the replay compares, compressed.
 * Usage: node tests/sandbox/vectors/compact.ts FOLDER (with single.json, multi.json, random-single.json, random-multi.json)
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { brotliCompressSync, constants } from 'node:zlib';
import { FILES } from './load.ts';

const UNUSED = new Set([
  'abi',
  'errors',
  'args',
  'f',
  'state',
  'stateXdr',
  'stateLedgerKeyXdr',
  'stateLedgerEntryDataXdr',
  'diagnosticEventsXdr',
  'invokeXdrWithFeeAddress',
  'topicsXdr',
  'dataXdr',
  'resultXdr',
  'instructions',
  'memBytes',
  'readBytes',
  'writeBytes',
]);

/** Objects below an `auth` list: their arguments are compared. Of the entries' XDR only what was given to a call stays. */
function compact(text: string): Buffer {
  const authorised = new Set<unknown>();
  const given = new Set<unknown>();
  const json = JSON.stringify(JSON.parse(text), function (this: Record<string, unknown>, key, value: unknown) {
    const items: unknown[] = Array.isArray(value) ? value : [value];
    if (key === 'root' || (key === 'sub' && authorised.has(this))) for (const item of items) authorised.add(item);
    if (key === 'auth' && this['authMode'] === 'enforced') for (const item of items) given.add(item);
    if (key === 'xdr') return given.has(this) ? value : undefined;
    if (key === 'args' && authorised.has(this)) return value;
    return UNUSED.has(key) ? undefined : value;
  });
  return brotliCompressSync(json, {
    params: {
      [constants.BROTLI_PARAM_QUALITY]: 11,
      [constants.BROTLI_PARAM_LGWIN]: 24,
      [constants.BROTLI_PARAM_SIZE_HINT]: json.length,
    },
  });
}

const [folder] = process.argv.slice(2);
if (folder === undefined) throw new Error('usage: compact.ts FOLDER');
for (const name of FILES) {
  const content = compact(readFileSync(join(folder, `${name}.json`), 'utf8'));
  writeFileSync(new URL(`${name}.json.br`, import.meta.url), content);
  console.log(`${name}: ${content.length} bytes`);
}
