/**
 * @module
 * gRPC server reflection over the descriptors of generated code.
 */
import { create, type DescFile, type DescMessage, type DescService, toBinary } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { reflection } from "@skep/api";

const NOT_FOUND = 5;
const UNIMPLEMENTED = 12;

type Answer = reflection.ServerReflectionResponse["messageResponse"];

/** A file and all that it imports, each once. */
function closure(files: readonly DescFile[]): Map<string, DescFile> {
  const found = new Map<string, DescFile>();
  const visit = (file: DescFile): void => {
    if (found.has(file.proto.name)) return;
    found.set(file.proto.name, file);
    file.dependencies.forEach(visit);
  };
  files.forEach(visit);
  return found;
}

class Reflection {
  readonly #files: Map<string, DescFile>;
  readonly #services: readonly string[];

  constructor(services: readonly DescService[]) {
    this.#files = closure(services.map((service) => service.file));
    this.#services = services.map((service) => service.typeName).sort();
  }

  #error(code: number, message: string): Answer {
    return {
      case: "errorResponse",
      value: create(reflection.ErrorResponseSchema, { errorCode: code, errorMessage: message }),
    };
  }

  #file(file: DescFile | undefined, asked: string): Answer {
    if (!file) return this.#error(NOT_FOUND, `${asked} is not known here`);
    const bytes = [...closure([file]).values()].map((each) => toBinary(FileDescriptorProtoSchema, each.proto));
    return {
      case: "fileDescriptorResponse",
      value: create(reflection.FileDescriptorResponseSchema, { fileDescriptorProto: bytes }),
    };
  }

  #fileOfSymbol(symbol: string): DescFile | undefined {
    return [...this.#files.values()].find((file) => symbolsOf(file).has(symbol));
  }

  answer(request: reflection.ServerReflectionRequest): Answer {
    const { messageRequest } = request;
    switch (messageRequest.case) {
      case "listServices": {
        const service = this.#services.map((name) => ({ name }));
        return { case: "listServicesResponse", value: create(reflection.ListServiceResponseSchema, { service }) };
      }
      case "fileByFilename":
        return this.#file(this.#files.get(messageRequest.value), messageRequest.value);
      case "fileContainingSymbol":
        return this.#file(this.#fileOfSymbol(messageRequest.value), messageRequest.value);
      case "allExtensionNumbersOfType":
      case "fileContainingExtension":
        return this.#error(NOT_FOUND, "there are no extensions here");
      default:
        return this.#error(UNIMPLEMENTED, "this question is not known");
    }
  }
}

/** Full names of messages, enums, fields, services and methods. */
function symbolsOf(file: DescFile): Set<string> {
  const symbols = new Set<string>();
  const visit = (message: DescMessage): void => {
    symbols.add(message.typeName);
    for (const field of message.fields) symbols.add(`${message.typeName}.${field.name}`);
    for (const each of message.nestedEnums) symbols.add(each.typeName);
    message.nestedMessages.forEach(visit);
  };
  file.messages.forEach(visit);
  for (const each of file.enums) symbols.add(each.typeName);
  for (const service of file.services) {
    symbols.add(service.typeName);
    for (const method of service.methods) symbols.add(`${service.typeName}.${method.name}`);
  }
  return symbols;
}

/**
 * Answers for the given services, as version 1 has it; the alpha version has the same messages on the wire. Mount it with
 * `router.service(reflection.ServerReflection, ...)`.
 */
export function reflectionService(services: readonly DescService[]): {
  serverReflectionInfo(
    requests: AsyncIterable<reflection.ServerReflectionRequest>,
  ): AsyncGenerator<reflection.ServerReflectionResponse, void, undefined>;
} {
  const answers = new Reflection(services);
  return {
    async *serverReflectionInfo(requests) {
      for await (const request of requests) {
        yield create(reflection.ServerReflectionResponseSchema, {
          validHost: request.host,
          originalRequest: request,
          messageResponse: answers.answer(request),
        });
      }
    },
  };
}
