import { readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { z } from 'zod';
import { EVENTS } from '../../domain/events/index.ts';

test('the catalogue of events in the documentation is what the schemas say', () => {
  const page = readFileSync(new URL('../../docs/api.md', import.meta.url), 'utf8');
  const documented = page.split('\n').filter((line) => /^\| `[a-z]+\./.test(line));
  const defined = EVENTS.map(({ type, resource, change }) => {
    const adds = Object.keys(change instanceof z.ZodObject ? change.shape : {}).map((field) => `\`${field}\``);
    return `| \`${type}\` | ${resource} | ${adds.join(' ') || '–'} |`;
  });
  expect(documented).toEqual(defined);
});
