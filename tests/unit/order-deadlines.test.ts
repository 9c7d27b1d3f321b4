import { describe, expect, test } from '@jest/globals';
import { type DueView, nextDue, shownDue } from '../../domain/order/deadlines.ts';
import { ORDER_STATUSES } from '../../domain/statuses.ts';

const day = (number: number): string => `2026-01-${String(number).padStart(2, '0')}T00:00:00.000Z`;
const dueTimes = { funding: day(1), delivery: day(10), dispute: day(5) };
const part = (status: DueView['parts'][number]['status'], inspectionDue: string | null = null) => ({
  status,
  inspectionDue,
});

describe('the next timer', () => {
  test('is the funding deadline until the money is in the contract', () => {
    for (const status of ['ORDER_CREATED', 'FUNDS_RESERVED', 'ESCROW_CREATING', 'ESCROW_FUNDING'] as const)
      expect(nextDue({ status, dueTimes, parts: [part('OPEN')] })).toEqual({ action: 'EXPIRE', at: day(1) });
  });

  test('is the delivery deadline as long as something is open, and each inspection period of what is completed', () => {
    const of = (...parts: DueView['parts'][number][]) => nextDue({ status: 'IN_PROGRESS', dueTimes, parts });
    expect(of(part('OPEN'))).toEqual({ action: 'AUTO_REFUND', at: day(10) });
    expect(of(part('OPEN'), part('COMPLETED', day(8)))).toEqual({ action: 'AUTO_RELEASE', at: day(8) });
    expect(of(part('COMPLETED', day(12)), part('COMPLETED', day(11)))).toEqual({ action: 'AUTO_RELEASE', at: day(11) });
    expect(of(part('COMPLETED', day(12)), part('OPEN'))).toEqual({ action: 'AUTO_REFUND', at: day(10) });
  });

  test('is none of the order’s for what is in dispute; the order shows the dispute’s', () => {
    const view = { status: 'DISPUTED', dueTimes, parts: [part('DISPUTED', day(2))] } as const;
    expect(nextDue(view)).toBeNull();
    expect(shownDue(view)).toEqual({ action: 'DISPUTE_DEFAULT', at: day(5) });
  });

  test('is none when everything is settled', () => {
    expect(nextDue({ status: 'CLOSED', dueTimes, parts: [part('OPEN')] })).toBeNull();
    for (const status of ORDER_STATUSES)
      expect(nextDue({ status, dueTimes: {}, parts: [part('COMPLETED')] })).toBeNull();
  });
});
