/** Who locks the reserve of what: the effects of sponsorships, told from entries before and after. */
import type { EntryChange } from '../core/types.ts';
import type { Effect } from './effects.ts';
import { assetFields } from './assets.ts';

type Kind = 'account' | 'trustline' | 'data' | 'signer';

/** Reserves of one entry: what they are for, with the sponsor of each (null is the owner). */
interface Reserves {
  readonly account: string;
  readonly sponsors: ReadonlyMap<string, { readonly kind: Kind; readonly by: string; readonly details: object }>;
}

type Side = EntryChange['before'];

function reservesOf(entry: Side): Reserves | undefined {
  if (entry === undefined) return undefined;
  const sponsors = new Map<string, { kind: Kind; by: string; details: object }>();
  const add = (name: string, kind: Kind, by: string | null, details: object): void => {
    if (by !== null) sponsors.set(name, { kind, by, details });
  };
  if ('asset' in entry) {
    const { asset_type: type } = assetFields(entry.asset);
    add('trustline', 'trustline', entry.sponsor, { asset_type: type, asset: entry.asset });
    return { account: entry.account, sponsors };
  }
  add('account', 'account', entry.sponsor, {});
  for (const [name, item] of Object.entries(entry.data)) add(`data ${name}`, 'data', item.sponsor, { data_name: name });
  for (const { key, sponsor } of entry.signers) add(`signer ${key}`, 'signer', sponsor, { signer: key });
  return { account: entry.id, sponsors };
}

function effectsOfChange({ before, after }: EntryChange): Effect[] {
  const [past, now] = [reservesOf(before), reservesOf(after)];
  const account = past?.account ?? now?.account ?? '';
  const names = new Set([...(past?.sponsors.keys() ?? []), ...(now?.sponsors.keys() ?? [])]);
  return [...names].flatMap((name): Effect[] => {
    const [was, is] = [past?.sponsors.get(name), now?.sponsors.get(name)];
    const kind = (is ?? was)?.kind ?? 'account';
    const details = (is ?? was)?.details ?? {};
    if (was === undefined && is !== undefined)
      return [{ type: `${kind}_sponsorship_created`, account, details: { ...details, sponsor: is.by } }];
    if (was !== undefined && is === undefined)
      return [{ type: `${kind}_sponsorship_removed`, account, details: { ...details, former_sponsor: was.by } }];
    return [];
  });
}

/** A sponsor never changes here while an entry lives: revoking a sponsorship is no operation of this ledger. */
export function sponsorshipEffects(changes: readonly EntryChange[]): Effect[] {
  return changes.flatMap(effectsOfChange);
}

/** Who pays the reserve of what an operation created, as the operation itself names it. */
export function sponsorOf(changes: readonly EntryChange[]): { sponsor?: string } {
  const created = sponsorshipEffects(changes).find(({ type }) => type.endsWith('_created'));
  return created === undefined ? {} : { sponsor: String(created.details['sponsor']) };
}
