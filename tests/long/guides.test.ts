/** Every guide with steps still works when it is followed to the letter. */
import { readFileSync, readdirSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { copyTree, followGuide } from '../support/guide.ts';

const GUIDES = readdirSync('docs/guides')
  .map((name) => `docs/guides/${name}`)
  .filter((path) => readFileSync(path, 'utf8').includes('<!-- run'));

test.each(GUIDES)(
  '%s can be followed as it is written',
  async (guide) => {
    const folder = await mkdtemp(join(tmpdir(), 'orchestrator-guide-'));
    try {
      await copyTree(folder);
      expect(await followGuide(folder, guide)).toBeGreaterThan(0);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  },
  600_000,
);
