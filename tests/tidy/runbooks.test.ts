/** Whoever is woken finds a section for the reason he is woken for. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { REASONS, REASON_TABLE } from '../../domain/reasons.ts';
import { SEARCH_ATTRIBUTES } from '../../workflows/search-attributes.ts';
import { ROOT, sourcesOf } from './sources.ts';

const page = await readFile(join(ROOT, 'docs', 'runbooks', 'README.md'), 'utf8');
const sections = page.split(/^### /m).slice(1);
const named = sections.map((section) => section.split('\n')[0]);

test('every reason that only an operator can help has its section: what happened, and what to do', () => {
  const operators = REASONS.filter((reason) => REASON_TABLE[reason].retry === 'operator');
  expect(operators.filter((reason) => !named.includes(reason))).toEqual([]);
  for (const section of sections) expect(section).toMatch(/\*\*What happened\.\*\*[\s\S]*\*\*Do\.\*\*/);
});

test('so has every reason that is raised by name', async () => {
  const raised = (await sourcesOf('activities')).flatMap(({ text }) =>
    [...text.matchAll(/raiseAttention\([\s\S]*?\breason: '([A-Z_]+)'/g)].map(([, reason]) => reason),
  );
  expect(raised.length).toBeGreaterThan(3);
  expect(raised.filter((reason) => !named.includes(reason))).toEqual([]);
});

test('its sections are reasons, and its queries use search attributes that exist', async () => {
  expect(named.filter((reason) => !REASONS.some((known) => known === reason))).toEqual([]);
  const ours: string[] = SEARCH_ATTRIBUTES.map(({ name }) => name);
  const builtIn = ['WorkflowType', 'ExecutionStatus', 'TemporalReportedProblems'];
  const queries = [...page.matchAll(/^\|.*\| `([^`]+)` \|$/gm)].map(([, query]) => query ?? '');
  expect(queries.length).toBeGreaterThan(6);
  const used = queries.flatMap((query) => [...query.matchAll(/(\w+) (?:=|in) /g)].map(([, name]) => name));
  expect(used.filter((name) => ![...ours, ...builtIn].includes(name ?? ''))).toEqual([]);
});
