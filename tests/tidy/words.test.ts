/** What operators see in the Temporal UI is said in words: every activity, every timer, every workflow. */
import { expect, test } from '@jest/globals';
import { type Source, sourcesOf } from './sources.ts';

/** Texts of the arguments of every call whose name matches, split at top-level commas. */
function callsOf({ path, text }: Source, name: RegExp): { where: string; args: string[] }[] {
  return [...text.matchAll(new RegExp(`${name.source}(?:<[\\w\\s,.]+>)?\\(`, 'g'))].map((match) => {
    const args = [''];
    let depth = 1;
    for (let at = match.index + match[0].length; depth > 0 && at < text.length; at += 1) {
      const letter = text[at] ?? '';
      if ('([{'.includes(letter)) depth += 1;
      if (')]}'.includes(letter)) depth -= 1;
      if (depth === 1 && letter === ',') args.push('');
      else if (depth > 0) args[args.length - 1] += letter;
    }
    const line = text.slice(0, match.index).split('\n').length;
    return { where: `${path}:${line}`, args: args.filter((arg) => arg.trim() !== '') };
  });
}

const workflows = (await sourcesOf('workflows')).filter(({ path }) => path !== 'workflows/worded.ts');
const callsIn = (sources: readonly Source[], name: RegExp) => sources.flatMap((source) => callsOf(source, name));
const silent = (calls: ReturnType<typeof callsIn>, word: RegExp) =>
  calls.filter(({ args }) => !word.test(args.join())).map(({ where }) => where);

test('every activity has a summary: its own, or the one of workflows/worded.ts', () => {
  const proxies = callsIn(workflows, /\bproxy(?:Local)?Activities/);
  expect(proxies.length).toBeGreaterThan(5);
  expect(silent(proxies, /\bsummary[,:]/)).toEqual([]);
});

test('every timer has a summary', () => {
  const timed = [
    ...callsIn(workflows, /\bsleep/),
    ...callsIn(workflows, /\bcondition/).filter(({ args }) => args.length > 1),
  ];
  expect(timed.length).toBeGreaterThan(5);
  expect(silent(timed, /\bsummary:/)).toEqual([]);
});

test('every workflow is started with a summary, and tells how it stands', async () => {
  const starters = (await Promise.all(['workflows', 'activities', 'worker', 'cli'].map(sourcesOf))).flat();
  const starts = callsIn(starters, /\b(?:workflow\.start|signalWithStart|startChild|new WithStartWorkflowOperation)/);
  expect(starts.length).toBeGreaterThan(8);
  expect(silent(starts, /\bstaticSummary:|\bstart\(/)).toEqual([]);
  const index = workflows.find(({ path }) => path === 'workflows/index.ts')?.text ?? '';
  const files = [...index.matchAll(/from '\.\/(.+)'/g)].map(([, file]) => file ?? '');
  const told = workflows.filter(({ text }) => text.includes('setCurrentDetails(')).map(({ path }) => path);
  // An order's is set where its state is.
  const expected = files.map((file) => `workflows/${file === 'order.ts' ? 'order-operations.ts' : file}`);
  expect(expected.filter((path) => !told.includes(path))).toEqual([]);
});
