/** The order's state diagram in Mermaid, generated from the machine so that it cannot differ from it. */
import { TRANSITIONS } from './machine.ts';

export function orderDiagram(): string {
  const lines = new Set<string>(['  [*] --> ORDER_CREATED: create']);
  for (const { from, verb, enters, through, ifDead, alsoBy } of TRANSITIONS) {
    const way = [from, ...(enters === null ? [] : [enters]), ...through];
    way.slice(1).forEach((status, index) => {
      lines.add(`  ${way[index]} --> ${status}${index === 0 ? `: ${[verb, ...alsoBy].join(' / ')}` : ''}`);
    });
    if (ifDead !== null && enters !== null) lines.add(`  ${enters} --> ${ifDead}: proved dead`);
  }
  return ['stateDiagram-v2', ...lines, '  CLOSED --> [*]', ''].join('\n');
}
