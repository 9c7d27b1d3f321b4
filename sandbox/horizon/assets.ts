/** Assets as Horizon names them. */
import { creditOf } from '../core/keys.ts';
import type { AssetId } from '../core/types.ts';

/** `asset_type`, `asset_code`, `asset_issuer`, with a prefix where a payment has two assets. */
export function assetFields(asset: AssetId, prefix = ''): Record<string, unknown> {
  const credit = creditOf(asset);
  if (credit === undefined) return { [`${prefix}asset_type`]: 'native' };
  return {
    [`${prefix}asset_type`]: credit.code.length <= 4 ? 'credit_alphanum4' : 'credit_alphanum12',
    [`${prefix}asset_code`]: credit.code,
    [`${prefix}asset_issuer`]: credit.issuer,
  };
}
