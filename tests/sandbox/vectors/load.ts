/** The recorded contract calls that the tests replay: see README.md. */
import { readFileSync } from 'node:fs';
import { brotliDecompressSync } from 'node:zlib';
import type { RandomFile } from '../../../sandbox/replay/random.ts';
import type { RecordedFile } from '../../../sandbox/replay/recorded.ts';

export const FILES = ['single', 'multi', 'random-single', 'random-multi'] as const;

const read = (name: (typeof FILES)[number]): unknown =>
  JSON.parse(brotliDecompressSync(readFileSync(new URL(`${name}.json.br`, import.meta.url))).toString('utf8'));

export const recorded = (name: 'single' | 'multi'): RecordedFile => read(name) as RecordedFile;
export const random = (name: 'random-single' | 'random-multi'): RandomFile => read(name) as RandomFile;
