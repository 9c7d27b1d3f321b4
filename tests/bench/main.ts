/** `npm run bench -- NAME`: runs `run()` of `tests/bench/NAME.ts`; without a name, lists what there is. */
import { readdir } from 'node:fs/promises';

const names = (await readdir(import.meta.dirname))
  .filter((file) => file.endsWith('.ts') && file !== 'main.ts')
  .map((file) => file.slice(0, -3));
const name = process.argv[2] ?? '';
if (names.includes(name)) {
  const bench = (await import(`./${name}.ts`)) as { run: () => Promise<void> };
  await bench.run();
} else {
  console.error(`usage: npm run bench -- NAME, where NAME is one of: ${names.join(', ')}`);
  process.exitCode = 1;
}
