export { chainReader } from './chain-reader.ts';
export { dispute } from './dispute.ts';
export { order } from './order.ts';
export { adjustment, withdrawal } from './payment.ts';
export { provisioner } from './provisioner.ts';
export { reconcile } from './reconcile.ts';
export { surplus } from './surplus.ts';
export { wallet } from './wallet.ts';
