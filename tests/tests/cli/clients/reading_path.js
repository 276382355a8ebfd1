// How an application reads its secrets: a service with a cache of five minutes that tries the current value and then
// the previous one, as in the guide that Keyturn replaces, without its framework.
const {
  SecretsManagerClient,
  GetSecretValueCommand,
  PutSecretValueCommand,
  RotateSecretCommand,
  DescribeSecretCommand,
} = require('@aws-sdk/client-secrets-manager');
const assert = require('node:assert');

class SecretsService {
  cache = new Map();
  CACHE_TTL = 300_000;

  async onModuleInit() {
    this.client = new SecretsManagerClient({ region: process.env.AWS_REGION || 'eu-west-1' });
  }

  async getSecret(secretId) {
    const cached = this.cache.get(secretId);
    if (cached && cached.expires > Date.now()) {
      return cached.value;
    }
    const command = new GetSecretValueCommand({ SecretId: secretId });
    const response = await this.client.send(command);
    const secret = JSON.parse(response.SecretString);
    this.cache.set(secretId, { value: secret, expires: Date.now() + this.CACHE_TTL });
    return secret;
  }

  async validateWithRotation(secretId, validator) {
    const secret = await this.getSecret(secretId);
    if (await validator(secret.current)) {
      return true;
    }
    if (secret.previous && (await validator(secret.previous))) {
      return true;
    }
    return false;
  }
}

async function main() {
  const service = new SecretsService();
  await service.onModuleInit();
  const client = service.client;

  assert.equal(await service.validateWithRotation('app/pair', async (value) => value === 'new'), true);
  assert.equal(await service.validateWithRotation('app/pair', async (value) => value === 'old'), true);
  assert.equal(await service.validateWithRotation('app/pair', async (value) => value === 'other'), false);

  // A rotation while the application runs: what it has cached stays valid as the previous secret.
  const held = await service.getSecret('app/jwt');
  const { VersionId } = await client.send(new RotateSecretCommand({ SecretId: 'app/jwt' }));
  for (;;) {
    const { VersionIdsToStages } = await client.send(new DescribeSecretCommand({ SecretId: 'app/jwt' }));
    if (VersionIdsToStages[VersionId]?.includes('AWSCURRENT')) break;
  }
  assert.deepEqual(await service.getSecret('app/jwt'), held);
  service.cache.clear();
  const fresh = await service.getSecret('app/jwt');
  assert.notEqual(fresh.secret, held.secret);
  assert.equal(fresh.previous_secret, held.secret);

  const put = await client.send(new PutSecretValueCommand({ SecretId: 'app/pair', SecretString: '{"current":"newer"}' }));
  assert.deepEqual(put.VersionStages, ['AWSCURRENT']);
  await assert.rejects(service.getSecret('app/none'), { name: 'ResourceNotFoundException' });
  console.log('the reading path works unchanged');
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
