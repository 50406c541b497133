// Nest, TypeORM and class-validator read decorator metadata at class definition.
import 'reflect-metadata';

// The same cases in every run, where that is asked for: a failure of property tests is then one of the change. Otherwise each run has its own.
const seed = process.env.VAFA_TEST_SEED;
if (seed !== undefined) {
  const { configureGlobal } = await import('fast-check');
  configureGlobal({ seed: Number(seed) });
}
