/** Builds contract functions whose arguments are decoded in order before the body runs, as the contract's ABI does. */
import type { xdr } from '@stellar/stellar-sdk/base';
import type { ContractFunction, Env } from './env.ts';
import type { Codec } from './scval.ts';

type Codecs<A extends readonly unknown[]> = { [K in keyof A]: Codec<A[K]> };

export function fn<A extends readonly unknown[]>(
  codecs: readonly [...Codecs<A>],
  run: (env: Env, ...args: A) => xdr.ScVal,
): ContractFunction {
  const list = codecs as unknown as readonly Codec<unknown>[];
  return {
    arity: list.length,
    run(env, args) {
      const decoded = list.map((codec, index) => codec.decode(args[index] as xdr.ScVal)) as unknown as A;
      return run(env, ...decoded);
    },
  };
}
