/** What operators see of a workflow: it sets what they search by itself, so that it is there however it was started. */
import type { SearchAttributeUpdatePair } from '@temporalio/common';
import { upsertSearchAttributes } from '@temporalio/workflow';

/** @returns shows pairs; what is shown already is no event of the history. `null` takes an attribute away */
export function createVisibility(): (...pairs: SearchAttributeUpdatePair[]) => void {
  const shown = new Map<string, string>();
  const isNews = ({ key, value }: SearchAttributeUpdatePair): boolean =>
    (shown.get(key.name) ?? 'null') !== text(value);
  return (...pairs) => {
    const news = pairs.filter(isNews);
    for (const { key, value } of news) shown.set(key.name, text(value));
    if (news.length > 0) upsertSearchAttributes(news);
  };
}

const text = (value: unknown): string => (value instanceof Date ? value.toISOString() : String(value));
