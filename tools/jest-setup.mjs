// Nest, TypeORM and class-validator read decorator metadata at class definition.
import 'reflect-metadata';
