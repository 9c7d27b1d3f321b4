/**
 * What the books must say, as plain arithmetic on purses: no accounts, no debits and credits. The ledger is compared
 * with it, so nothing here may be taken from the ledger's code.
 */
import fc from 'fast-check';

export const USERS = 3;
/** The last order's buyer pays from a wallet of their own. */
export const ORDERS = 4;
export const EXTERNAL_ORDER = ORDERS - 1;

/** Amounts stay small and odd, so that balances are often just too low, and never round. */
export const orderAmount = (order: number): bigint => [30n, 70_000_001n, 50n, 41n][order] ?? 1n;
export const buyerOf = (order: number): number => order % 2;

export type Share = { to: 'BUYER' | 'SELLER' | 'PLATFORM' | 'EXTERNAL'; amount: bigint };

export type Command =
  | { type: 'deposit'; user: number | null; amount: bigint }
  | { type: 'reserve' | 'cancel' | 'fundSaved' | 'fundConfirmed' | 'fundDead'; order: number }
  | { type: 'payout'; order: number; shares: Share[] }
  | { type: 'inflow'; order: number; amount: bigint }
  | { type: 'unexplained'; user: number | null; direction: 'IN' | 'OUT'; amount: bigint }
  | { type: 'fold' }
  /** an activity that runs again: the command `back` places earlier, with the same key */
  | { type: 'replay'; back: number };

export type Outcome = 'OK' | 'INSUFFICIENT_FUNDS' | 'PENDING_NOT_FOUND' | 'PENDING_SETTLED' | 'PENDING_EXISTS';

type TwoPhase = 'NEVER' | 'OPEN' | 'VOIDED' | 'POSTED';

interface OrderPurse {
  reservation: TwoPhase;
  funding: TwoPhase;
  escrowed: bigint;
}

interface WalletPurse {
  held: bigint;
  leaving: bigint;
  unknown: bigint;
}

export interface Model {
  users: { available: bigint; reserved: bigint }[];
  wallets: WalletPurse[];
  platform: WalletPurse & { fees: bigint; equity: bigint };
  orders: OrderPurse[];
}

const times = <T>(count: number, make: () => T): T[] => Array.from({ length: count }, make);
const emptyWallet = (): WalletPurse => ({ held: 0n, leaving: 0n, unknown: 0n });

export const emptyModel = (): Model => ({
  users: times(USERS, () => ({ available: 0n, reserved: 0n })),
  wallets: times(USERS, emptyWallet),
  platform: { ...emptyWallet(), fees: 0n, equity: 0n },
  orders: times(ORDERS, () => ({ reservation: 'NEVER', funding: 'NEVER', escrowed: 0n })),
});

export const SELLER = USERS - 1;

function at<T>(list: T[], index: number): T {
  const item = list[index];
  if (item === undefined) throw new Error(`no item ${index}`);
  return item;
}

/** Changes the model as the command demands, or leaves it alone and says why it is refused. */
export function apply(model: Model, command: Exclude<Command, { type: 'replay' }>): Outcome {
  switch (command.type) {
    case 'deposit':
      return deposit(model, command.user, command.amount);
    case 'unexplained':
      return unexplained(model, command.user, command.direction === 'IN' ? command.amount : -command.amount);
    case 'inflow':
      at(model.orders, command.order).escrowed += command.amount;
      return 'OK';
    case 'payout':
      return payout(model, command.order, command.shares);
    case 'fold':
      return 'OK';
    default:
      return applyToOrder(model, command.type, command.order);
  }
}

function deposit(model: Model, user: number | null, amount: bigint): Outcome {
  const purse = user === null ? model.platform : at(model.wallets, user);
  purse.held += amount;
  if (user === null) model.platform.equity += amount;
  else at(model.users, user).available += amount;
  return 'OK';
}

function unexplained(model: Model, user: number | null, change: bigint): Outcome {
  const purse = user === null ? model.platform : at(model.wallets, user);
  if (purse.held - purse.leaving + change < 0n) return 'INSUFFICIENT_FUNDS';
  purse.held += change;
  purse.unknown += change;
  return 'OK';
}

function payout(model: Model, orderIndex: number, shares: Share[]): Outcome {
  const order = at(model.orders, orderIndex);
  const whole = shares.reduce((sum, share) => sum + share.amount, 0n);
  if (whole > order.escrowed) return 'INSUFFICIENT_FUNDS';
  order.escrowed -= whole;
  for (const { to, amount } of shares) {
    if (to === 'EXTERNAL') continue;
    const user = to === 'BUYER' ? buyerOf(orderIndex) : SELLER;
    const purse = to === 'PLATFORM' ? model.platform : at(model.wallets, user);
    purse.held += amount;
    if (to === 'PLATFORM') model.platform.fees += amount;
    else at(model.users, user).available += amount;
  }
  return 'OK';
}

function applyToOrder(model: Model, type: string, index: number): Outcome {
  const order = at(model.orders, index);
  const amount = orderAmount(index);
  const external = index === EXTERNAL_ORDER;
  const buyer = at(model.users, buyerOf(index));
  const wallet = at(model.wallets, buyerOf(index));
  switch (type) {
    case 'reserve':
      if (order.reservation === 'OPEN') return 'PENDING_EXISTS';
      if (buyer.available < amount) return 'INSUFFICIENT_FUNDS';
      buyer.available -= amount;
      buyer.reserved += amount;
      order.reservation = 'OPEN';
      return 'OK';
    case 'cancel':
      if (order.reservation === 'POSTED') return 'PENDING_SETTLED';
      if (order.reservation !== 'OPEN') return 'OK';
      buyer.available += amount;
      buyer.reserved -= amount;
      order.reservation = 'VOIDED';
      return 'OK';
    case 'fundSaved':
      if (order.funding === 'OPEN') return 'PENDING_EXISTS';
      if (!external && wallet.held - wallet.leaving < amount) return 'INSUFFICIENT_FUNDS';
      if (!external) wallet.leaving += amount;
      order.funding = 'OPEN';
      return 'OK';
    case 'fundDead':
      if (order.funding === 'POSTED') return 'PENDING_SETTLED';
      if (order.funding !== 'OPEN') return 'OK';
      if (!external) wallet.leaving -= amount;
      order.funding = 'VOIDED';
      return 'OK';
    case 'fundConfirmed': {
      const phases = external ? [order.funding] : [order.funding, order.reservation];
      if (phases.includes('NEVER')) return 'PENDING_NOT_FOUND';
      if (phases.some((phase) => phase !== 'OPEN')) return 'PENDING_SETTLED';
      order.funding = 'POSTED';
      order.escrowed += amount;
      if (external) return 'OK';
      order.reservation = 'POSTED';
      buyer.reserved -= amount;
      wallet.held -= amount;
      wallet.leaving -= amount;
      return 'OK';
    }
    default:
      throw new Error(`no command ${type}`);
  }
}

const amounts = fc.oneof(fc.bigInt(1n, 100n), fc.bigInt(50_000_000n, 150_000_000n));
const user = fc.option(fc.nat(USERS - 1));
const order = fc.nat(ORDERS - 1);
const share = fc.record<Share>({
  to: fc.constantFrom('BUYER', 'SELLER', 'PLATFORM', 'EXTERNAL'),
  amount: fc.oneof({ weight: 5, arbitrary: fc.bigInt(1n, 12n) }, { weight: 1, arbitrary: fc.bigInt(1n, 60_000_000n) }),
});

/** Commands of a marketplace in mid-life; the weights make most of them meet money and open reservations. */
export const commands = fc.array(
  fc.oneof(
    { weight: 4, arbitrary: fc.record({ type: fc.constant('deposit' as const), user, amount: amounts }) },
    {
      weight: 18,
      arbitrary: fc.record({
        type: fc.constantFrom(
          'reserve' as const,
          'reserve' as const,
          'reserve' as const,
          'cancel' as const,
          'fundSaved' as const,
          'fundSaved' as const,
          'fundSaved' as const,
          'fundConfirmed' as const,
          'fundConfirmed' as const,
          'fundConfirmed' as const,
          'fundDead' as const,
        ),
        order,
      }),
    },
    {
      weight: 4,
      arbitrary: fc.record({
        type: fc.constant('payout' as const),
        order,
        shares: fc.array(share, { minLength: 1, maxLength: 4 }),
      }),
    },
    { weight: 1, arbitrary: fc.record({ type: fc.constant('inflow' as const), order, amount: amounts }) },
    {
      weight: 1,
      arbitrary: fc.record({
        type: fc.constant('unexplained' as const),
        user,
        direction: fc.constantFrom('IN' as const, 'OUT' as const),
        amount: fc.bigInt(1n, 20n),
      }),
    },
    { weight: 1, arbitrary: fc.constant({ type: 'fold' as const }) },
    { weight: 3, arbitrary: fc.record({ type: fc.constant('replay' as const), back: fc.integer({ min: 1, max: 8 }) }) },
  ),
  { minLength: 1, maxLength: 60, size: 'max' },
);
