import { expect, test } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { orderDiagram } from '../../domain/order/diagram.ts';

test('the documented state diagram is the machine', () => {
  const document = readFileSync(new URL('../../docs/architecture.md', import.meta.url), 'utf8');
  expect(document).toContain(`\`\`\`mermaid\n${orderDiagram()}\`\`\``);
});
