/**
 * Replays recorded contract calls against the models: `npm run sandbox:replay -- FILE…`.
 * Prints `steps N mismatches M` and the first differences; exit code 0 only when there is none.
 */
import { readFileSync } from 'node:fs';
import { type RandomFile, replayRandom } from './replay/random.ts';
import { type RecordedFile, replayRecorded } from './replay/recorded.ts';
import { programOf } from './contracts/wasm.ts';

const SHOWN = 20;

export interface ReplayResult {
  readonly steps: number;
  readonly mismatches: readonly { readonly place: string; readonly differences: readonly string[] }[];
}

/** Replays one file's content. @throws Error when its contract build is not modelled */
export function replay(file: RecordedFile | RandomFile): ReplayResult {
  if (programOf(file.meta.wasmSha256) === undefined) throw new Error(`no model of WASM ${file.meta.wasmSha256}`);
  const mismatches: { place: string; differences: readonly string[] }[] = [];
  const report = (place: string, differences: readonly string[]) => mismatches.push({ place, differences });
  const steps = 'scenarios' in file ? replayRecorded(file, report) : replayRandom(file, report);
  return { steps, mismatches };
}

function main(paths: readonly string[]): number {
  if (paths.length === 0) {
    console.error('usage: npm run sandbox:replay -- FILE…');
    return 2;
  }
  const results = paths.map((path) => {
    const result = replay(JSON.parse(readFileSync(path, 'utf8')) as RecordedFile | RandomFile);
    console.log(`${path}: steps ${result.steps} mismatches ${result.mismatches.length}`);
    for (const { place, differences } of result.mismatches.slice(0, SHOWN)) {
      console.log(`  ${place}`);
      for (const difference of differences) console.log(`    ${difference.slice(0, 600)}`);
    }
    return result;
  });
  const steps = results.reduce((sum, result) => sum + result.steps, 0);
  const mismatches = results.reduce((sum, result) => sum + result.mismatches.length, 0);
  console.log(`steps ${steps} mismatches ${mismatches}`);
  return mismatches === 0 ? 0 : 1;
}

if (import.meta.main) {
  try {
    process.exitCode = main(process.argv.slice(2));
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    process.exitCode = 2;
  }
}
