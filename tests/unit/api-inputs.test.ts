import { describe, expect, test } from '@jest/globals';
import { z } from 'zod';
import { canonical, sha256 } from '../../api/hash.ts';
import { AmountInput, DeadlinesInput, MetadataInput, pageQuery } from '../../api/inputs.ts';
import { isFinal, problemAnswer, toRefusal } from '../../api/problem.ts';
import { validate } from '../../api/validation.ts';
import { REASONS, REASON_TABLE } from '../../domain/reasons.ts';
import { Refusal, Unavailable } from '../../domain/refusal.ts';

const body = z.strictObject({
  amount: AmountInput,
  title: z.string().max(5),
  parts: z.array(z.strictObject({ 'a/b': AmountInput })).optional(),
});

const errorsOf = (input: unknown, schema: z.ZodType = body) => {
  try {
    validate(schema, input);
    return [];
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    return (error.details.errors ?? []).map(({ pointer, code }) => `${pointer} ${code}`);
  }
};

describe('validation', () => {
  test.each([
    ['1e3'],
    ['-1'],
    ['1.00000001'],
    ['01'],
    [1],
    ['0'],
    ['0.0'],
    [''],
    [' 1'],
    ['1.'],
    ['+1'],
    ['999999999999'],
    [null],
    [[]],
  ])('amount %j is refused as AMOUNT_FORMAT', (amount) =>
    expect(errorsOf({ amount, title: 'x' })).toEqual(['/amount AMOUNT_FORMAT']),
  );

  test('trailing zeros are the same amount', () => {
    expect(validate(body, { amount: '250.0000000', title: 'x' }).amount).toBe(2_500_000_000n);
  });

  test('every wrong part is named at once, each with its pointer', () => {
    expect(errorsOf({ title: 'too long', extra: 1, 'x~/y': 2, parts: [{ 'a/b': '1' }, { 'a/b': 'x' }] })).toEqual([
      '/amount REQUIRED',
      '/title TOO_LARGE',
      '/parts/1/a~1b AMOUNT_FORMAT',
      '/extra UNKNOWN_FIELD',
      '/x~0~1y UNKNOWN_FIELD',
    ]);
  });

  test('text that the database cannot hold is refused, wherever it is', () => {
    expect(errorsOf({ amount: '1', title: 'a\0' })).toEqual(['/title TEXT']);
    expect(errorsOf({ amount: '1', title: 'a\ud800' })).toEqual(['/title TEXT']);
    expect(errorsOf({ 'k\0': 'v' }, MetadataInput)).toEqual([' TEXT']);
  });

  test('a deadline is an ISO duration, positive and not absurd', () => {
    for (const funding of ['7D', 'P0D', '-P1D', 'P99999999Y', '', 'PT'])
      expect(errorsOf({ funding }, DeadlinesInput)).toEqual(['/funding DURATION_FORMAT']);
    expect(validate(DeadlinesInput, { funding: 'P7D', delivery: null })).toEqual({ funding: 'P7D', delivery: null });
  });

  test('metadata has at most 50 keys and 8 kB', () => {
    const many = Object.fromEntries(Array.from({ length: 51 }, (_, index) => [`k${index}`, 'v']));
    expect(errorsOf(many, MetadataInput)).toEqual([' TOO_LARGE']);
    expect(errorsOf({ k: 'v'.repeat(8_193) }, MetadataInput)).toEqual([' TOO_LARGE']);
    expect(errorsOf({ k: 1 }, MetadataInput)).toEqual(['/k TYPE']);
  });

  test('a page has 1 to 100 items and a cursor of ours', () => {
    const query = z.strictObject(pageQuery);
    for (const limit of ['0', '101', '1e1', '-1', 'x', ''])
      expect(errorsOf({ limit }, query)).toEqual(['/limit RANGE']);
    expect(errorsOf({ cursor: 'nonsense' }, query)).toEqual(['/cursor CURSOR']);
    expect(errorsOf({ limit: ['1', '2'] }, query)).toEqual(['/limit TYPE']);
    expect(validate(query, {})).toEqual({ limit: 20, cursor: null });
  });
});

describe('the request hash', () => {
  test('is equal for equal bodies, whatever the order of their fields, and for no other', () => {
    expect(canonical({ b: [1, { y: 1, x: '2' }], a: null })).toBe(canonical({ b: [1, { x: '2', y: 1 }] }));
    expect(canonical({ a: [1, 2] })).not.toBe(canonical({ a: [2, 1] }));
    expect(canonical({ a: '1' })).not.toBe(canonical({ a: 1 }));
    expect(sha256('')).toBe('e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855');
  });
});

describe('problems', () => {
  const context = { instance: '/api/v1/x', requestId: 'req_1' };

  test('every reason has its status and says whether a program may repeat', () => {
    for (const reason of REASONS) {
      const { status, retryable, title } = REASON_TABLE[reason];
      expect(problemAnswer(new Refusal(reason, 'why'), context)).toEqual({
        status,
        headers: { ...(status === 503 ? { 'Retry-After': '1' } : {}), 'content-type': 'application/problem+json' },
        body: {
          type: `/api/v1/docs/errors/${reason}`,
          title,
          status,
          detail: 'why',
          instance: '/api/v1/x',
          code: reason,
          request_id: 'req_1',
          retryable,
          errors: [],
        },
      });
    }
  });

  test('of an unknown error nothing is shown; what is unreachable is 503 (F53)', () => {
    expect(toRefusal(new Error('password is hunter2'))).toMatchObject({ reason: 'INTERNAL_ERROR' });
    expect(toRefusal(new Error('password is hunter2')).message).not.toContain('hunter2');
    expect(toRefusal(new Unavailable('x')).reason).toBe('UNAVAILABLE');
    const refused = Object.assign(new Error('connect'), { code: 'ECONNREFUSED' });
    expect(toRefusal(new Error('driver', { cause: refused })).reason).toBe('UNAVAILABLE');
    expect(toRefusal(new AggregateError([refused])).reason).toBe('UNAVAILABLE');
  });

  test('a key is used up by final answers only (F45)', () => {
    for (const status of [200, 201, 204, 404, 409, 422]) expect(isFinal({ status })).toBe(true);
    for (const status of [202, 400, 401, 403, 415, 429, 500, 503]) expect(isFinal({ status })).toBe(false);
    expect(isFinal(problemAnswer(new Refusal('INVALID_STATE', 'x', { retryable: true }), context))).toBe(false);
    expect(isFinal(problemAnswer(new Refusal('MARKETPLACE_PAUSED', 'x'), context))).toBe(false);
    expect(isFinal(problemAnswer(new Refusal('INVALID_STATE', 'x'), context))).toBe(true);
  });
});
